"""Send what is due, in this process."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections import Counter
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config import telemetry
from delivery import clock, selectors, sender
from delivery.domain.states import ENDS
from delivery.services.gates import FENCE, TOKEN, ensure_pacing
from delivery.services.installation import arm
from delivery.telegram import gateway


class Command(BaseCommand):
    """The real sender, once, without a worker."""

    help = "Send due deliveries: once through, or until nothing can be claimed now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--until-empty", action="store_true", help="go on while there is more")
        parser.add_argument("--at", metavar="ISO", help="as if it were then (local, sandbox only)")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Drain, then say what ended how and what is still owed."""
        at = _moment(options["at"]) if options["at"] else None
        if problem := arm(now=clock.now()):
            raise CommandError(f"Nothing was sent: {problem}")
        ensure_pacing()
        with telemetry.span("send_due"):
            counts = sender.drain(
                gateway, until_empty=options["until_empty"], simulated=at, catch_signals=True
            )
        pending = selectors.count_by_status()
        waiting = sum(pending[status] for status in ("pending", "leased", "sending"))
        self._say(counts, waiting=waiting, as_json=options["json"])
        self._complain()

    def _say(self, counts: Counter[str], *, waiting: int, as_json: bool) -> None:
        ended = ", ".join(f"{n} {state}" for state, n in sorted(counts.items())) or "nothing"
        self.stdout.write(f"Ended: {ended}. Still owed: {waiting}.")
        if as_json:
            report = {str(state): counts[state] for state in sorted(ENDS)}
            self.stdout.write(json.dumps({**report, "pending": waiting}))

    def _complain(self) -> None:
        for gate in selectors.blocking_gates():
            if gate.key in {TOKEN, FENCE}:
                raise CommandError(f"Sending is stopped ({gate.key}): {gate.reason}.")
            self.stderr.write(f"Sending is held ({gate.key}): {gate.reason or 'closed by staff'}.")


def _moment(text: str) -> datetime:
    if not settings.IS_LOCAL or settings.BOT_TOKEN:
        raise CommandError("--at needs ENVIRONMENT=local and no BOT_TOKEN: it sends to the sandbox")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--at: {text!r} is no ISO date and time") from None
    if moment.tzinfo is None:
        raise CommandError("--at: say the zone too, for example 2026-11-24T09:00:00Z")
    return moment
