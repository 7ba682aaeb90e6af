"""What a learner will hear in the next days."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import nullcontext
from typing import Any

from django.core.management.base import CommandError

from delivery import clock
from nurture.management.base import JsonCommand, learner_of, moment
from nurture.services.simulation import forecast
from nurture.services.simulation.forecasting import DAYS

MOST_DAYS = 366


class Command(JsonCommand):
    """Across all sequences, with windows, caps and gates as they are, if nothing new happens."""

    help = "What a learner will hear in the next days, if nothing new happens."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")
        parser.add_argument("--days", type=int, default=DAYS)
        parser.add_argument("--at", metavar="ISO", help="as if it were then (local only)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Look ahead, and tell."""
        if not 1 <= options["days"] <= MOST_DAYS:
            raise CommandError(f"--days: say how many, from 1 to {MOST_DAYS}.")
        learner = learner_of(options["email"])
        if learner is None:
            raise CommandError(f"There is no learner with the address {options['email']!r}.")
        at = moment(options["at"]) if options["at"] else None
        with clock.simulated(at) if at is not None else nullcontext():
            found = forecast(learner_ids=[learner.pk], now=clock.now(), days=options["days"])
        messages = [message for line in found.learners for message in line["messages"]]
        lines = [
            f"{message['local']}  {message['sequence']}, {message['step']}{_end(message)}"
            for message in messages
        ]
        report = {"email": learner.email, "until": found.until.isoformat(), "messages": messages}
        self.say(
            "\n".join([*lines, f"{len(messages)} messages in {options['days']} days."]),
            report,
            as_json=options["json"],
        )


def _end(message: dict[str, Any]) -> str:
    """How a message would end that would not be sent."""
    return "" if message["status"] == "sent" else f": {message['status']} ({message['reason']})"
