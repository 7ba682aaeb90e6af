"""One pass of the engine, in this process."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from delivery.services.installation import arm, simulate_until
from nurture.management.base import JsonCommand, moment
from nurture.services import engine


class Command(JsonCommand):
    """Settle, facts to journeys, due journeys to deliveries."""

    help = "One pass: settle classes, act on facts, plan what is due. It sends nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        super().add_arguments(parser)
        parser.add_argument("--at", metavar="ISO", help="as if it were then (local only)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do the pass, and count."""
        at = moment(options["at"]) if options["at"] else None
        if at is not None:
            arm(now=clock.now())
            if not simulate_until(at=at):
                raise CommandError("--at: the simulated clock never goes back. Nothing was done.")
        with clock.simulated(at) if at is not None else nullcontext():
            done = engine.tick(now=clock.now())
        report = {
            "settled": done.settled,
            "facts": done.facts,
            "journeys": done.journeys,
            "deliveries": done.deliveries,
        }
        counts = ", ".join(f"{number} {what}" for what, number in report.items())
        self.say(f"One pass: {counts}.", report, as_json=options["json"])
