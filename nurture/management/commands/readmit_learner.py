"""Let somebody who was erased come back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from attendance.services import readmit
from nurture.management.base import JsonCommand


class Command(JsonCommand):
    """They begin anew: what was erased does not come back."""

    help = "Let an erased address be imported and seen again; only when the person asks for it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Forget that the address was erased."""
        known = readmit(email=options["email"])
        said = "It may be imported again." if known else "This address was not erased."
        self.say(said, {"readmitted": known}, as_json=options["json"])
