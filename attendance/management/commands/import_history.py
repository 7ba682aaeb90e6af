"""Read past classes, outcomes and promises."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from attendance.domain.imports import HISTORY_OPTIONAL, HISTORY_REQUIRED, csv_rows
from attendance.management.importing import ImportCommand, open_lines, refusing
from attendance.services import imports


class Command(ImportCommand):
    """All lines, or none."""

    help = (
        "Import history: columns email, course, starts_at, ends_at, and if need be title, "
        "session, outcome, pledge."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and say what is new and what was known."""
        rows = csv_rows(
            open_lines(options["file"]), required=HISTORY_REQUIRED, optional=HISTORY_OPTIONAL
        )
        with refusing():
            done = imports.import_history(
                rows=self.counted(rows, options), now=timezone.now(), dry_run=options["dry_run"]
            )
        self.say(
            f"New: {done.classes} classes, {done.enrolments} enrolments, {done.outcomes} outcomes, "
            f"{done.pledges} pledges. Kept as they were: {done.kept} outcomes, "
            f"{done.pledges_kept} pledges.",
            asdict(done),
            options,
        )
