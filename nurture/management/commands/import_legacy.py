"""Read learners, identities and history from another PostgreSQL."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandError

from attendance.management.importing import ImportCommand, open_lines, refusal, refusing
from delivery import clock
from nurture.services import legacy
from nurture.services.contacts import Imported


class Command(ImportCommand):
    """Everything, or nothing."""

    help = "Import from another PostgreSQL by the queries of a mapping file (docs/imports.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("--dsn", required=True, help="where it is; it is only read")
        parser.add_argument("--mapping", metavar="FILE.yaml", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Import in one transaction, and say what each part did."""
        text = "".join(open_lines(options["mapping"]))
        try:
            parts = legacy.read_mapping(text)
        except legacy.LegacyError as error:
            raise CommandError(
                f"Nothing was imported; mend {options['mapping']}:\n{error}"
            ) from None
        try:
            with refusing(), legacy.connected(options["dsn"]) as connection:
                done = legacy.import_legacy(
                    connection=connection,
                    parts=parts,
                    now=clock.now(),
                    dry_run=options["dry_run"],
                    told=lambda name, rows: self.progress(f"{name}: {rows} rows", options),
                )
        except legacy.LegacyError as error:
            raise refusal(error.problems) from None
        report = {
            name: found.as_dict() if isinstance(found, Imported) else asdict(found)
            for name, found in done.items()
        }
        sentences = [
            f"{name}: " + ", ".join(f"{count} {word}" for word, count in found.items())
            for name, found in report.items()
        ]
        self.say("; ".join(sentences) + ".", report, options)
