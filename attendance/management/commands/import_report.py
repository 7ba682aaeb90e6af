"""Read Meet's own attendance report, or the Admin console's export, of one class."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from attendance import selectors
from attendance.domain.import_reports import report_rows
from attendance.management.importing import ImportCommand, open_lines, refusing
from attendance.services import imports


class Command(ImportCommand):
    """Hints to staff; no outcome comes of it."""

    help = "Ask staff about the people in a report of Google's whom the log has not shown."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv")
        parser.add_argument(
            "--session", metavar="ID", required=True, help="the class: event id or row id"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask, and say how many questions there are."""
        session = selectors.find_session(options["session"])
        if session is None:
            raise CommandError(
                f"--session: there is no class {options['session']!r}. Nothing was imported."
            )
        rows = report_rows(open_lines(options["file"]))
        with refusing():
            done = imports.import_report(
                session=session,
                rows=self.counted(rows, options),
                source=Path(options["file"]).name,
                now=timezone.now(),
                dry_run=options["dry_run"],
            )
        self.say(
            f"{done.people} people: {done.asked} new questions to staff, {done.asked_before} asked "
            f"before, {done.seen} shown by Google's log already.",
            asdict(done),
            options,
        )
