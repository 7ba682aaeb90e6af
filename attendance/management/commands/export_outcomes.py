"""Outcomes for whoever wants to check them."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from attendance import selectors
from attendance.management.commands.sync_attendance import moment


class Command(BaseCommand):
    """One JSON object with the newest revision of every learner and class."""

    help = "Print every current outcome as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--since", metavar="ISO", help="classes that ended then or later")
        parser.add_argument("--json", action="store_true", help="the same (it is always JSON)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        found = list(selectors.outcomes(since=moment(options["since"], "since")))
        self.stdout.write(json.dumps({"outcomes": found}))
