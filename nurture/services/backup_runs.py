"""Take note of backups and of rehearsals, so that somebody sees when there was none."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import ProgrammingError, transaction

from nurture.models import BackupRun

log = logging.getLogger(__name__)

#: A run without an end is over after this long: its process died.
_GIVEN_UP = timedelta(hours=6)


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
    except Exception as error:
        note.failed(f"{type(error).__name__}: {error}")
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


def may_begin(*, kind: str, now: datetime, every: timedelta, again: timedelta) -> bool:
    """Whether the next is due: `every` after the last good one, `again` after one that failed.

    Where one is going on, it is not.
    """
    newest = BackupRun.objects.filter(kind=kind).order_by("-started_at").first()
    if newest is None:
        return True
    if newest.finished_at is None:
        return newest.started_at <= now - _GIVEN_UP
    if newest.error:
        return newest.started_at <= now - again
    return newest.started_at <= now - every
