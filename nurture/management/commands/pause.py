"""Hold something back until it is resumed."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from nurture.management.switching import SwitchCommand


class Command(SwitchCommand):
    """nurture, attendance, deliver, stream:<slug>, or learner:<email>."""

    help = "Hold something back until it is resumed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only say what it would touch")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set the switch."""
        self.turn(options["name"], "pause", as_json=options["json"], dry_run=options["dry_run"])
