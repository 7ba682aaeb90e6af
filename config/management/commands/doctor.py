"""What is wrong, and what to do."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import doctor, doctor_deep

MARKS = {"pass": "ok      ", "fail": "WRONG   ", "not_yet": "not yet "}


class Command(BaseCommand):
    """Exit code 0 unless something is wrong; what is merely not set up yet does not fail."""

    help = "Check settings, connections, rights, migrations, flags; say what to do about each."
    requires_system_checks = ()  # it is here to tell what they would stop at

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--deep", action="store_true",
            help="also ask everybody outside, and look how the servers are set up",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the report."""
        items = [*doctor.examine(), *(doctor_deep.examine() if options["deep"] else ())]
        wrong = [item for item in items if item.verdict == "fail"]
        for item in items:
            self.stdout.write(f"{MARKS[item.verdict]}{item.name:<14} {item.value}")
        if options["json"]:
            report = {"ok": not wrong, "items": [item.as_dict() for item in items]}
            self.stdout.write(json.dumps(report))
        if wrong:
            raise CommandError(f"{len(wrong)} of {len(items)} checks failed; see above.")
