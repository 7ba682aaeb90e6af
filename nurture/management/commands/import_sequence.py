"""Read a sequence from a YAML file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction

from delivery import clock
from nurture.management.base import JsonCommand, read_text
from nurture.sequence_files import SequenceFileError
from nurture.services import sequences


class Command(JsonCommand):
    """Into the draft, and with --publish into force."""

    help = "Import a sequence as a draft, or publish it at once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.yaml")
        parser.add_argument("--publish", action="store_true", help="new journeys run on it")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and perhaps publish in one transaction, and say what came of it."""
        source, now = read_text(options["file"]), clock.now()
        try:
            with transaction.atomic():
                done = sequences.import_sequence(source=source, now=now)
                version = done.version
                if options["publish"]:
                    version = sequences.publish(sequence=done.sequence, now=now)
        except SequenceFileError as error:
            raise CommandError(f"Nothing was imported; mend the file:\n{error}") from None
        changed = "imported" if done.changed else "unchanged"
        self.say(
            f"{done.sequence.slug}: version {version.number} {changed}, {version.status}.",
            {
                "slug": done.sequence.slug,
                "version": version.number,
                "changed": done.changed,
                "status": version.status,
            },
            as_json=options["json"],
        )
