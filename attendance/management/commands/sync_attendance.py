"""Read Google, then settle."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from attendance import selectors, services
from attendance.domain.kinds import RunState
from attendance.google_errors import GoogleError
from attendance.models import ClassSession
from config import telemetry

# Devices join before a class and leave after it; the log shows them when they leave.
AROUND_BEFORE, AROUND_AFTER = timedelta(hours=1), timedelta(hours=6)


class Command(BaseCommand):
    """The real Google client, once, without a worker. Safe to run twice."""

    help = "Read Calendar and the Meet log, match them, then settle what may be settled."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--since", metavar="ISO", help="read the log from then on")
        parser.add_argument("--until", metavar="ISO", help="read the log up to then")
        parser.add_argument(
            "--session",
            metavar="ID",
            help="read around one class (event id or row id) and judge it",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, settle, report; raise CommandError where something was not read."""
        since, until = (moment(options[name], name) for name in ("since", "until"))
        session = self._session(options["session"])
        if session is not None:
            since, until = session.starts_at - AROUND_BEFORE, session.ends_at + AROUND_AFTER
        if since is not None and since >= min(until or timezone.now(), timezone.now()):
            raise CommandError("--since must lie before --until and before now; nothing was read")
        with telemetry.span("sync_attendance"):
            try:
                read = services.sync(now=timezone.now(), since=since, until=until, insist=True)
            except GoogleError as error:
                raise CommandError(str(error)) from error
            if session is None:
                settled = services.settle(now=timezone.now())
            else:
                settled = services.settle_session(session_id=session.pk, now=timezone.now())
        self.stdout.write(
            f"{read.activities} new records ({read.duplicates} known), {read.sessions} classes new "
            f"or changed; {settled.settled} classes looked at, {settled.outcomes} outcomes, "
            f"{settled.events} facts."
        )
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {
                        **asdict(read),
                        "settled": settled.settled,
                        "outcomes": settled.outcomes,
                        "events": settled.events,
                    }
                )
            )
        if read.state != RunState.COMPLETE:
            told = "; ".join(error.removesuffix(".") for error in read.errors)
            raise CommandError(
                f"Not everything could be read: {told}. What was read is kept; run it again."
            )

    def _session(self, text: str | None) -> ClassSession | None:
        if not text:
            return None
        session = selectors.find_session(text)
        if session is None:
            raise CommandError(f"--session: there is no class {text!r}; nothing was read")
        return session


def moment(text: str | None, name: str) -> datetime | None:
    """An ISO moment with a zone (a bare date or time is UTC), or None."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise CommandError(f"--{name}: {text!r} is no ISO date and time") from None
    return found if found.tzinfo else found.replace(tzinfo=timezone.get_default_timezone())
