"""A backup for staging, in which nobody is to be found."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from config.backups import report
from config.backups.anonymise import anonymously
from config.backups.dump import dump
from config.sealed import SealedError
from nurture.management.base import JsonCommand


class Command(JsonCommand):
    """Restored like any other. The same learner has the same made-up address everywhere."""

    help = "Write all rows into FILE without names, addresses, chats and texts, for staging."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whereto."""
        super().add_arguments(parser)
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, and say what is in it."""
        try:
            manifest = dump(path=options["file"], way=anonymously(), kind="anonymised")
        except OSError as error:
            raise CommandError(
                f"{options['file']} cannot be written: {error.strerror}. Nothing was written."
            ) from None
        except SealedError as error:
            raise CommandError(f"Nothing was written: {error}.") from None
        said = {**report.of(manifest), "file": str(options["file"])}
        self.say(
            f"Written without anybody in it: {report.sentence(manifest)}.\n{report.ROTATE}",
            said,
            as_json=options["json"],
        )
