"""See whether a backup can be brought back, before it must."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError

from config.backups import report, scheduled
from config.backups.archive import ArchiveError
from config.backups.elsewhere import NoDatabaseError
from config.backups.load import RestoreError
from config.backups.storage import StorageError
from config.sealed import SealedError
from config.telemetry.scrubbing import words
from delivery import clock
from nurture.management.base import JsonCommand

_FAILURES = (
    scheduled.BackupError, StorageError, ArchiveError, RestoreError, NoDatabaseError, OSError,
    DatabaseError, SealedError,  # a migration that these rows do not take, or that lacks a key
)  # fmt: skip


class Command(JsonCommand):
    """The database itself is only read; go_no_go shows when this was done last."""

    help = "Restore FILE, or the newest backup of the storage, beside the database; examine it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which."""
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Rehearse, and say how long it took."""
        try:
            done = scheduled.rehearse(file=options["file"], now=clock.now())
        except _FAILURES as error:
            why = words(error) if isinstance(error, DatabaseError) else str(error)  # quotes no row
            raise CommandError(f"The rehearsal failed. {why}") from None
        said = {
            **report.of(done.manifest),
            "ok": not done.violations,
            "file": done.name,
            "seconds": round(done.seconds, 2),
            "violations": done.violations,
        }
        self.say(
            f"{done.name} was restored, compared, migrated and audited in {done.seconds:.1f} s: "
            f"{report.sentence(done.manifest)}. The database that it was in is gone.",
            said,
            as_json=options["json"],
        )
        if done.violations:
            raise CommandError(f"It can be restored, but {', '.join(done.violations)}; see audit.")
