"""Read marks by which learners are surely known."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from attendance.domain.imports import IDENTITY_OPTIONAL, IDENTITY_REQUIRED, csv_rows
from attendance.management.importing import ImportCommand, open_lines, refusing
from attendance.services import imports


class Command(ImportCommand):
    """All lines, or none."""

    help = "Import identities: columns email, kind, value, and for a display_name course."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and say how many marks are new."""
        rows = csv_rows(
            open_lines(options["file"]), required=IDENTITY_REQUIRED, optional=IDENTITY_OPTIONAL
        )
        with refusing():
            done = imports.import_identities(
                rows=self.counted(rows, options), now=timezone.now(), dry_run=options["dry_run"]
            )
        self.say(
            f"{done.created} created, {done.confirmed} confirmed, {done.unchanged} unchanged.",
            asdict(done),
            options,
        )
