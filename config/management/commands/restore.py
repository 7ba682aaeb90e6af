"""Make this database what it was when a backup was taken."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from typing import Any

import redis
from django.core.cache import cache
from django.core.management.base import CommandError

from config.backups import report
from config.backups.archive import ArchiveError
from config.backups.load import Restored, RestoreError, restore
from config.backups.scheduled import BackupError, fetched_newest
from config.backups.storage import StorageError
from nurture.management.base import JsonCommand


class Command(JsonCommand):
    """All or nothing. Afterwards nothing is sent until post_restore; docs/operations/data.md."""

    help = "Restore a backup into an empty database; every table is compared afterwards."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Wherefrom."""
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", type=Path)
        parser.add_argument(
            "--from-storage", action="store_true", help="the newest backup in BACKUP_S3_URL"
        )
        parser.add_argument(
            "--replace", action="store_true", help="delete every row that is in the database now"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore, and say what to do next."""
        if bool(options["file"]) == bool(options["from_storage"]):
            raise CommandError("Say either a FILE or --from-storage.")
        try:
            done = self._restore(options)
        except (ArchiveError, RestoreError, BackupError, StorageError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(
                f"{options['file']} cannot be read: {error.strerror}. Nothing was restored."
            ) from None
        with suppress(redis.RedisError):
            cache.clear()  # flags as they were before
        said = {**report.of(done.manifest), "pending": done.pending, "fence": done.fence}
        words = [f"Restored: {report.sentence(done.manifest)}; every checksum is as it was."]
        if done.pending:
            words.append(f"Run manage.py migrate: {done.pending} migrations came since.")
        if done.manifest.kind == "anonymised":
            words.append(report.ROTATE)
        if done.fence:
            words.append(f"{done.fence[0].upper()}{done.fence[1:]}.")
        self.say("\n".join(words), said, as_json=options["json"])

    def _restore(self, options: dict[str, Any]) -> Restored:
        if options["file"]:
            return restore(path=options["file"], replace=options["replace"])
        with fetched_newest() as path:
            return restore(path=path, replace=options["replace"])
