"""Half-open intervals of time: union, clipping, length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

Interval = tuple[datetime, datetime]


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """Merge what overlaps or touches; the result is sorted, disjoint and without empty ones."""
    merged: list[Interval] = []
    for start, end in sorted(pair for pair in intervals if pair[0] < pair[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def clip(intervals: Iterable[Interval], *, start: datetime, end: datetime) -> list[Interval]:
    """Keep of each interval what lies in [start, end)."""
    cut = ((max(first, start), min(last, end)) for first, last in intervals)
    return [pair for pair in cut if pair[0] < pair[1]]


def length(intervals: Iterable[Interval]) -> timedelta:
    """Sum the lengths; for an honest total, give it a union."""
    return sum((end - start for start, end in intervals), timedelta())


def covers(intervals: Sequence[Interval], *, start: datetime, end: datetime) -> bool:
    """Say whether the union of `intervals` holds every instant of [start, end)."""
    return length(clip(union(intervals), start=start, end=end)) >= end - start
