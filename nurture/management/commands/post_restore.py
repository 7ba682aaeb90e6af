"""After a restore or a clone: say that this database is the one that sends here."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from nurture.management.base import JsonCommand, instant
from nurture.services.restored import take_over

CLOCKS_DIFFER = timedelta(minutes=1)  # the moment is read from a log, by another clock


class Command(JsonCommand):
    """Re-arms. What the original may have sent since the copy was made becomes unknown."""

    help = "Re-arm a restored database; what may have gone out becomes unknown, never sent again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        super().add_arguments(parser)
        parser.add_argument(
            "--until",
            metavar="ISO",
            help="the original sent until then: what was due before is unknown, too, and what it "
            "may have gone on with is held",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Re-arm, and say what a person has to decide now."""
        until = instant("--until", options["until"]) if options["until"] else None
        now = clock.now()
        if until is not None and until > now + CLOCKS_DIFFER:
            raise CommandError(
                f"--until: {until.isoformat()} is yet to come (it is {now:%Y-%m-%dT%H:%MZ}); all"
                " that is planned until then would be given up. Nothing was changed."
            )
        told = take_over(until=until, now=now)
        words = [
            f"Armed. {told.in_flight} deliveries were in flight, {told.due} were due:"
            " they are unknown now, and nobody sends them again but staff."
        ]
        if until is not None:
            words.append(
                f"{told.held} journeys are held, since the original may have gone on with them."
            )
        if told.paused:
            words.append(
                "nurture is paused, so that nothing begins a second time: read Google again"
                " (sync_attendance), then tick, then resume nurture."
            )
        self.say("\n".join(words), asdict(told), as_json=options["json"])
