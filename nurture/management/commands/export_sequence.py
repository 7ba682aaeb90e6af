"""Write a sequence as a YAML file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from nurture.management.base import JsonCommand
from nurture.services import sequences


class Command(JsonCommand):
    """What is published, or the draft where nothing is."""

    help = "Print a sequence in the form in which it is imported."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("slug")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the file."""
        slug = options["slug"]
        try:
            source = sequences.export(slug=slug)
        except sequences.UnknownSequenceError as error:
            raise CommandError(f"{error}.") from None
        self.say(source.rstrip("\n"), {"slug": slug, "yaml": source}, as_json=options["json"])
