"""Which windows of the log to read: overlapping, since records come late and out of order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance.domain.kinds import RunKind

ROUTINE_OVERLAP = timedelta(hours=6)
HOURLY_OVERLAP = timedelta(hours=26)
NIGHTLY_OVERLAP = timedelta(days=4)
FIRST_LOOK_BACK = timedelta(days=30)
LOG_IS_KEPT_FOR = timedelta(days=179)  # Google keeps 180 days; at the very edge it refuses
SLICE_AT_MOST = timedelta(hours=24)

CALENDAR_BACK_FIRST = timedelta(days=30)
CALENDAR_BACK = timedelta(days=7)
CALENDAR_AHEAD = timedelta(days=21)
CALENDAR_AROUND = timedelta(days=1)


@dataclass(frozen=True)
class ReadWindow:
    """A window [starts_at, ends_at) to read, and why."""

    starts_at: datetime
    ends_at: datetime
    kind: RunKind


def log_windows(
    *,
    now: datetime,
    watermark: datetime | None,
    hourly_at: datetime | None,
    nightly_at: datetime | None,
) -> list[ReadWindow]:
    """Plan a routine reading that ends at `now`, oldest window first.

    What lies before the overlap and was never read is read in slices of at most 24 hours, so
    that a failure in the middle keeps what came before it. `watermark` is the newest end of a
    window that was read to its last page; `hourly_at` and `nightly_at` are when the longer
    overlaps were last read.
    """
    kind, overlap = _overlap(now=now, hourly_at=hourly_at, nightly_at=nightly_at)
    oldest = now - LOG_IS_KEPT_FOR
    read_until = max(now - FIRST_LOOK_BACK if watermark is None else watermark, oldest)
    if read_until >= now - overlap:
        return [ReadWindow(now - overlap, now, kind)]
    return slices(starts_at=read_until, ends_at=now, kind=RunKind.BACKFILL)


def _overlap(
    *, now: datetime, hourly_at: datetime | None, nightly_at: datetime | None
) -> tuple[RunKind, timedelta]:
    if nightly_at is None or nightly_at <= now - timedelta(hours=24):
        return RunKind.NIGHTLY, NIGHTLY_OVERLAP
    newest = nightly_at if hourly_at is None else max(hourly_at, nightly_at)
    if newest <= now - timedelta(hours=1):
        return RunKind.HOURLY, HOURLY_OVERLAP
    return RunKind.ROUTINE, ROUTINE_OVERLAP


def slices(*, starts_at: datetime, ends_at: datetime, kind: RunKind) -> list[ReadWindow]:
    """Cut [starts_at, ends_at) into windows of at most 24 hours, oldest first."""
    cut = []
    while starts_at < ends_at:
        until = min(starts_at + SLICE_AT_MOST, ends_at)
        cut.append(ReadWindow(starts_at, until, kind))
        starts_at = until
    return cut


def calendar_window(*, now: datetime, last_read_at: datetime | None) -> tuple[datetime, datetime]:
    """Return the window of the calendar that a routine run reads.

    After a gap it goes back to before the gap: a class that was called off meanwhile must not
    look as if it had been held.
    """
    if last_read_at is None:
        return now - CALENDAR_BACK_FIRST, now + CALENDAR_AHEAD
    return min(now, last_read_at) - CALENDAR_BACK, now + CALENDAR_AHEAD


def calendar_window_for(
    *, now: datetime, since: datetime, until: datetime
) -> tuple[datetime, datetime]:
    """Return the window around a given one; always up to the classes to come."""
    return since - CALENDAR_AROUND, max(until + CALENDAR_AROUND, now + CALENDAR_AHEAD)
