"""Give a learner everything that is stored about them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from nurture.management.base import JsonCommand, learner_of
from nurture.services import stored


class Command(JsonCommand):
    """One object with every field of every table that is about this learner."""

    help = "Export everything stored about a learner; --json for the data, else how much there is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read and print."""
        learner = learner_of(options["email"])
        if learner is None:
            raise CommandError(f"No learner has the address {options['email']}.")
        data = stored.as_json(stored.stored_about(learner=learner))
        counts = [f"{len(rows)} {part}" for part, rows in data.items() if isinstance(rows, list)]
        self.say(f"Stored: {', '.join(counts)}.", data, as_json=options["json"])
