"""What a school's Google shows, before anything rests on it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from attendance import services
from attendance.google_errors import GoogleError
from attendance.selectors import calendar_ids


class Command(BaseCommand):
    """Rights, parameters by name, shares and the measured lag; never a value of a record."""

    help = "Ask Google for a little of everything and say what answers. Writes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask and tell; raise CommandError where a part does not answer."""
        try:
            found = services.probe(calendar_ids=calendar_ids(), now=timezone.now())
        except GoogleError as error:
            raise CommandError(str(error)) from error
        for answer in found.answers:
            mark = "✓" if answer.ok else "✗"
            self.stdout.write(f"{mark} {answer.name}: {answer.said} ({answer.rows} rows)")
        self.stdout.write(
            f"{found.records} records of the last 7 days; start given: {_percent(found.with_start)}"
            f", identifier: {_percent(found.with_identifier)}"
            f", calendar id: {_percent(found.with_calendar_id)}; {found.unreadable} unreadable"
        )
        self.stdout.write("Parameters: " + (", ".join(found.parameters) or "none seen"))
        half, most, nearly_all = found.lag_seconds
        self.stdout.write(
            "Measured lag: not enough records yet"
            if half is None
            else f"Measured lag: {half} s half, {most} s 95 %, {nearly_all} s 99 % of the records"
        )
        if options["json"]:
            self.stdout.write(json.dumps(found.as_dict()))
        if not found.ok:
            raise CommandError("Not every part of Google answers; see above. Nothing was changed.")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
