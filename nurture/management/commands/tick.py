"""One pass of the engine, in this process."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import CommandError

from config import telemetry
from delivery import clock, selectors, telegram
from delivery.services.installation import arm, remember_bot, simulate_until
from nurture.management.base import JsonCommand, moment
from nurture.models import Step
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
        _know_bot()
        moved = clock.simulated(at) if at is not None else nullcontext()
        with moved, telemetry.span("tick"):
            done = engine.tick(now=clock.now())
        report = {
            "settled": done.settled,
            "facts": done.facts,
            "journeys": done.journeys,
            "deliveries": done.deliveries,
        }
        counts = ", ".join(f"{number} {what}" for what, number in report.items())
        self.say(f"One pass: {counts}.", report, as_json=options["json"])


def _know_bot() -> None:
    """Ask Telegram for the bot's name where a text says it and nobody has asked before."""
    named = Step.objects.filter(text__contains="bot_username", version__status="published")
    if selectors.bot_username() or not named.exists() or arm(now=clock.now()):
        return
    if name := telegram.username():
        remember_bot(username=name)
