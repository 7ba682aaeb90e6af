"""Write everything that is in the database into one file, or into the storage."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from config.backups import report, scheduled
from config.backups.dump import dump
from config.backups.storage import StorageError
from delivery import clock
from nurture.management.base import JsonCommand


class Command(JsonCommand):
    """One snapshot, while all goes on; `restore` is the way back (docs/operations/data.md)."""

    help = "Back up all rows of one moment into FILE, or with --to-storage to BACKUP_S3_URL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whereto."""
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument(
            "--to-storage", action="store_true", help="to BACKUP_S3_URL, and thin out what is old"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Write it, and say what is in it."""
        if bool(options["file"]) == bool(options["to_storage"]):
            raise CommandError("Say either a FILE or --to-storage.")
        if options["to_storage"]:
            self._store(as_json=options["json"])
            return
        try:
            manifest = dump(path=options["file"])
        except OSError as error:
            raise CommandError(
                f"{options['file']} cannot be written: {error.strerror}. No backup was made."
            ) from None
        said = {**report.of(manifest), "file": str(options["file"])}
        self.say(f"Written: {report.sentence(manifest)}.", said, as_json=options["json"])

    def _store(self, *, as_json: bool) -> None:
        try:
            stored = scheduled.run(now=clock.now())
        except (scheduled.BackupError, StorageError, OSError) as error:
            raise CommandError(f"No backup was stored. {error}") from None
        said = {
            **report.of(stored.manifest),
            "file": stored.name,
            "place": stored.place,
            "bytes": stored.bytes,
            "deleted": stored.deleted,
            "problem": stored.problem,
        }
        stays = f" The others that should go are still there. {stored.problem}"
        self.say(
            f"Stored as {stored.name} in {stored.place} ({stored.bytes:,} bytes): "
            f"{report.sentence(stored.manifest)}. {len(stored.deleted)} old ones were deleted."
            f"{stays if stored.problem else ''}",
            said,
            as_json=as_json,
        )
