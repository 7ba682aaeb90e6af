"""The backup that nobody has to think of, and the proof that it can be restored."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command

from config import audit
from config.backups import archive, catalogue, retention
from config.backups.archive import Manifest
from config.backups.dump import dump
from config.backups.elsewhere import throw_away_database
from config.backups.load import restore
from config.backups.storage import Storage, StorageError
from delivery.invariants import BY_NOW
from nurture.models import BackupRun
from nurture.services import backup_runs

log = logging.getLogger(__name__)


class BackupError(Exception):
    """No backup was stored, or none is there."""


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A backup that is in the storage, and those that had to make room."""

    name: str
    place: str
    bytes: int
    manifest: Manifest
    deleted: list[str]
    problem: str = ""  # why not all that should have made room has gone


@dataclass(frozen=True, kw_only=True)
class Rehearsed:
    """A backup that was restored for a trial."""

    name: str
    manifest: Manifest
    seconds: float
    violations: list[str] = field(default_factory=list)  # what `audit` says of it


def nightly(now: datetime) -> Mapping[str, int]:
    """`run` as a job of the timetable: what it counted; nothing where no storage is named.

    Raises what `run` does, and BackupError where old ones stay: one day the storage is full.
    """
    if not settings.BACKUP_S3_URL:
        return {}
    stored = run(now=now)
    if stored.problem:
        raise BackupError(stored.problem)
    return {"rows": stored.manifest.rows, "bytes": stored.bytes, "deleted": len(stored.deleted)}


def run(*, now: datetime) -> Stored:
    """Take a backup, store it, delete what retention gives up, and note it. `now` is UTC.

    Raises BackupError where another process does it or no storage is named; StorageError, OSError.
    Safe to run twice: each is a backup more. Old ones go only when the new one is stored, and it is
    a good one also where they cannot go (`Stored.problem`).
    """
    storage = Storage(_url())
    with _alone():
        with backup_runs.noted(kind=BackupRun.BACKUP, now=now) as note:
            manifest, name, size = _store(storage)
            note.tell(file=name, rows=manifest.rows, size=size)
        deleted, problem = _thin_out(storage)
    log.info("backup.stored", extra={"file": name, "rows": manifest.rows, "bytes": size})
    return Stored(
        name=name, place=storage.label, bytes=size, manifest=manifest, deleted=deleted,
        problem=problem,
    )  # fmt: skip


def _store(storage: Storage) -> tuple[Manifest, str, int]:
    with tempfile.TemporaryDirectory(prefix="telbot-") as folder:
        path = Path(folder) / "backup.zip"
        manifest = dump(path=path)
        name = retention.name_of(environment=settings.ENVIRONMENT, taken_at=manifest.taken_at)
        storage.put(name=name, path=path)
        return manifest, name, path.stat().st_size


def _thin_out(storage: Storage) -> tuple[list[str], str]:
    """What was deleted, and what stood in the way of more."""
    deleted: list[str] = []
    try:
        for old in retention.superfluous(backups=_stored(storage)):
            storage.delete(name=old)
            deleted.append(old)
    except StorageError as error:
        return deleted, str(error)
    return deleted, ""


def rehearse(*, file: Path | None, now: datetime) -> Rehearsed:
    """Restore a file, or the newest of the storage, beside this database; examine it; note it.

    This database is only read. Raises BackupError, StorageError, ArchiveError, RestoreError or
    NoDatabaseError; what failed is noted, too.
    """
    with backup_runs.noted(kind=BackupRun.REHEARSAL, now=now) as note, _fetched(file) as path:
        began = time.monotonic()
        with archive.reading(path) as reader:
            note.tell(file=path.name, rows=reader.manifest.rows, size=path.stat().st_size)
        with throw_away_database("rehearsal"):
            restored = restore(path=path)
            # What comes after a restore in earnest: the migrations since, and the invariants.
            if restored.pending:
                call_command("migrate", verbosity=0, interactive=False)
            found = [one.rule for one in audit.examine()]
        violations = [rule for rule in found if rule not in BY_NOW]
        if violations:
            note.failed(f"invariants do not hold: {', '.join(violations)}")
    return Rehearsed(
        name=path.name,
        manifest=restored.manifest,
        seconds=time.monotonic() - began,
        violations=violations,
    )


@contextmanager
def fetched_newest() -> Iterator[Path]:
    """The newest backup of this environment in the storage, as a file for the block."""
    storage = Storage(_url())
    names = list(_stored(storage))
    if not names:
        raise BackupError(f"There is no backup of {settings.ENVIRONMENT} in {storage.label}.")
    with tempfile.TemporaryDirectory(prefix="telbot-") as folder:
        path = Path(folder) / names[-1]
        storage.get(name=names[-1], path=path)
        yield path


@contextmanager
def _fetched(file: Path | None) -> Iterator[Path]:
    if file is not None:
        yield file
        return
    with fetched_newest() as path:
        yield path


def _stored(storage: Storage) -> dict[str, datetime]:
    return retention.moments(environment=settings.ENVIRONMENT, names=storage.names())


def _url() -> str:
    if not settings.BACKUP_S3_URL:
        raise BackupError("BACKUP_S3_URL is not set: there is no storage for backups.")
    return str(settings.BACKUP_S3_URL)


@contextmanager
def _alone() -> Iterator[None]:
    """One at a time, over all machines; a process that dies lets go by itself."""
    with catalogue.own_connection(autocommit=True) as opened:
        row = opened.execute("SELECT pg_try_advisory_lock(hashtext('telbot backup'))").fetchone()
        if not (row and row[0]):
            raise BackupError("Another process takes a backup at this moment.")
        yield
