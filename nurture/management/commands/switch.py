"""Set a switch."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from nurture.management.switching import SwitchCommand


class Command(SwitchCommand):
    """nurture, attendance, deliver, or stream:<slug>."""

    help = "Set a switch: on, off, or for nurture a percentage of the learners."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("to", metavar="on|off|PERCENT")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set the switch."""
        to = options["to"] if options["to"] in {"on", "off"} else options["to"].removesuffix("%")
        self.turn(options["name"], to, as_json=options["json"])
