"""After a restore or a clone: say that this database is the one that sends here."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from delivery import clock
from delivery.services.installation import rearm


class Command(BaseCommand):
    """Re-arms. What the original may have sent since the copy was made becomes unknown."""

    help = "Re-arm a restored database; what may have gone out becomes unknown, never sent again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--until",
            metavar="ISO",
            help="the original sent until then: what was due before is unknown, too",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Re-arm."""
        until = _moment(options["until"]) if options["until"] else None
        told = rearm(now=clock.now(), until=until)
        self.stdout.write(
            f"Armed. {told.in_flight} deliveries were in flight, {told.due} were due:"
            " they are unknown now, and nobody sends them again but staff."
        )
        if options["json"]:
            self.stdout.write(json.dumps(asdict(told)))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--until: {text!r} is no ISO date and time; nothing changed") from None
    if moment.tzinfo is None:
        raise CommandError("--until: say the zone too, for example 2026-11-24T09:00:00Z")
    return moment
