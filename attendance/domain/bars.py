"""Stays in a class as bars: places on a line of a thousand, and how they are stacked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance.domain.intervals import Interval

WIDTH = 1000
# What lies further outside the class is cut; nothing there counts.
BEFORE_AT_MOST, AFTER_AT_MOST = timedelta(minutes=15), timedelta(minutes=30)
TICKS = 4


@dataclass(frozen=True)
class Frame:
    """The span of time that is drawn."""

    starts_at: datetime
    ends_at: datetime

    def place(self, at: datetime) -> int:
        """Where an instant lies on the line, 0 to WIDTH."""
        share = (at - self.starts_at) / (self.ends_at - self.starts_at)
        return round(WIDTH * min(max(share, 0.0), 1.0))

    def bar(self, stay: Interval) -> tuple[int, int]:
        """Place and width of a stay; also the shortest can be seen."""
        start, end = (self.place(at) for at in stay)
        width = max(end - start, 4)
        return min(start, WIDTH - width), width

    def ticks(self) -> list[datetime]:
        """Instants to write at the line: its ends and what lies evenly between."""
        step = (self.ends_at - self.starts_at) / TICKS
        return [self.starts_at + step * n for n in range(TICKS + 1)]


def frame(*, starts_at: datetime, ends_at: datetime, stays: Iterable[Interval]) -> Frame:
    """The planned class, and a little around it where somebody came before or stayed on."""
    near = [pair for pair in stays if pair[0] < ends_at and pair[1] > starts_at]
    first = min((start for start, _ in near), default=starts_at)
    last = max((end for _, end in near), default=ends_at)
    return Frame(
        max(min(first, starts_at), starts_at - BEFORE_AT_MOST),
        min(max(last, ends_at), ends_at + AFTER_AT_MOST),
    )


def lanes(stays: Sequence[Interval]) -> list[int]:
    """The lane of each stay, so that what overlaps does not cover each other; few lanes."""
    free: list[datetime] = []
    found = []
    for start, end in stays:
        lane = next((n for n, at in enumerate(free) if at <= start), len(free))
        free[lane : lane + 1] = [end]
        found.append(lane)
    return found
