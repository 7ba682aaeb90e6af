"""Take note of backups and of rehearsals, so that somebody sees when there was none."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import ProgrammingError, transaction

from config import telemetry
from nurture.models import BackupRun

log = logging.getLogger(__name__)


class Note:
    """What is told of a run while it goes on."""

    def __init__(self, row: BackupRun) -> None:
        self._row = row

    def tell(self, *, file: str, rows: int, size: int) -> None:
        """Of which file; `size` in bytes."""
        self._row.file, self._row.rows, self._row.size = file, rows, size

    def failed(self, why: str) -> None:
        """It came to its end, and is not good."""
        self._row.error = why[:300]


@contextmanager
def noted(*, kind: str, now: datetime) -> Iterator[Note]:
    """Keep a row for what the block does: begun at `now`, how long it took, why it failed."""
    row = BackupRun(kind=kind, started_at=now)
    note, began = Note(row), time.monotonic()
    _keep(row)
    try:
        yield note
    except BaseException as error:  # also where the process is being stopped: nothing was stored
        note.failed(telemetry.words(error))
        raise
    finally:
        row.finished_at = now + timedelta(seconds=time.monotonic() - began)
        _keep(row)


def _keep(row: BackupRun) -> None:
    """Save it. The backup before the migration that makes this very table goes unnoted."""
    try:
        with transaction.atomic():
            row.save()
    except ProgrammingError:
        log.warning("backup.not_noted")


def last_good(*, kind: str) -> BackupRun | None:
    """The newest that came to a good end."""
    good = BackupRun.objects.filter(kind=kind, finished_at__isnull=False, error="")
    return good.order_by("-started_at").first()
