"""The hours in which a message may go out. Wall clocks live here and nowhere else in delivery.

A window may cross midnight; then it belongs to the day on which it opened. Local times are
resolved for each occurrence: one that falls into the gap of a clock change means the first instant
after it, one that happens twice means the first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EVERY_DAY = 0b1111111
#: A window of one weekday that lies in the gap of a clock change opens a week later.
DAYS_AHEAD = 16


@dataclass(frozen=True, kw_only=True)
class Window:
    """Open from `opens` to `closes` (half-open) on `days` (bit 0 = Monday) in `zone`."""

    opens: time
    closes: time
    days: int
    zone: str

    def __post_init__(self) -> None:
        """Refuse what could never open; raise ValueError."""
        if not 0 < self.days <= EVERY_DAY:
            raise ValueError("a window needs at least one day")
        ZoneInfo(self.zone)


def resolve(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a local time on a day: after a gap, the first of two."""
    local = datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    # In the gap. Its end is the first instant at which the new offset holds.
    before, after = local.utcoffset(), local.replace(fold=1).utcoffset()
    assert before is not None
    assert after is not None
    low, high = instant - abs(after - before), instant
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def next_opening(window: Window, *, at: datetime) -> datetime:
    """The first instant (UTC) from `at` on at which the window is open; `at` itself if it is."""
    return min(
        max(at, opens)
        for opens, closes in _occurrences(window, at=at)
        if at < closes and opens < closes
    )


def is_open(window: Window, *, at: datetime) -> bool:
    """Whether the window is open at `at`."""
    return next_opening(window, at=at) == at


def _occurrences(window: Window, *, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The openings around and after `at`, as half-open periods in UTC, oldest first."""
    zone = ZoneInfo(window.zone)
    yesterday = at.astimezone(zone).date() - timedelta(days=1)
    for offset in range(DAYS_AHEAD + 1):
        day = yesterday + timedelta(days=offset)
        if window.days >> day.weekday() & 1:
            last = day if window.opens < window.closes else day + timedelta(days=1)
            yield resolve(day, window.opens, zone), resolve(last, window.closes, zone)
