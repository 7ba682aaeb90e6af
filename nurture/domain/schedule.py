"""When something is due, and when it may go out. Wall clocks of nurture live here alone.

Local times are resolved for each occurrence: one that falls into the gap of a clock change means
the first instant after it, one that happens twice means the first. Everything returned is UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nurture.domain.sequence import DAYS, EVERY_DAY, Wait, WaitKind, Window

DAY = timedelta(days=1)
#: A window of one weekday may fall into the gap of a clock change, then it is the week after.
DAYS_AHEAD = 16

#: Quiet hours: from the first local time to the second; across midnight where first ≥ second.
Quiet = tuple[time, time]


@dataclass(frozen=True)
class DueAt:
    """Due at this instant."""

    at: datetime


@dataclass(frozen=True)
class Past:
    """Its moment has gone by."""

    at: datetime


@dataclass(frozen=True)
class NoSession:
    """There is no next class to count back from."""


@dataclass(frozen=True)
class UntilEvent:
    """Due when the event comes, at the latest at this instant."""

    at: datetime


Due = DueAt | Past | NoSession | UntilEvent


def resolve(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The instant (UTC) of a local time on a day: after a gap, the first of two."""
    local = datetime.combine(day, at.replace(fold=0), tzinfo=zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """The first instant after the gap in which `local` lies.

    Read with the offset before the change (fold 0) it lies after the change, read with the one
    after it (fold 1) before the change: the change is searched between the two.
    """
    high = local.replace(fold=0).astimezone(UTC)
    low = local.replace(fold=1).astimezone(UTC)
    old = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        if middle.astimezone(zone).utcoffset() == old:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def zone_of(contact_zone: str, course_zone: str, default: str) -> ZoneInfo:
    """The first of the three that is a zone; UTC where none is."""
    for name in (contact_zone, course_zone, default):
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # unknown, empty or a path, a folder of zones
            continue
    return ZoneInfo("UTC")


def due_at(
    wait: Wait, *, anchor: datetime, zone: ZoneInfo, next_session: datetime | None, now: datetime
) -> Due:
    """When a step is due that waits from `anchor`, the settling of the step before it.

    `next_session` is the start of the next confirmed class. No window is applied yet.
    """
    match wait.kind:
        case WaitKind.AFTER:
            return DueAt(anchor + wait.duration)
        case WaitKind.AT:
            return DueAt(_local_time(wait, anchor=anchor, zone=zone))
        case WaitKind.UNTIL_EVENT:
            return UntilEvent(anchor + wait.duration)
        case _:
            return _before(wait, next_session=next_session, now=now)


def _local_time(wait: Wait, *, anchor: datetime, zone: ZoneInfo) -> datetime:
    assert wait.at is not None, "a wait of this kind has a time"
    day = anchor.astimezone(zone).date() + wait.plus_days * DAY
    while not wait.days >> day.weekday() & 1 or resolve(day, wait.at, zone) <= anchor:
        day += DAY
    return resolve(day, wait.at, zone)


def _before(wait: Wait, *, next_session: datetime | None, now: datetime) -> Due:
    if next_session is None or next_session <= now:
        return NoSession()
    moment = next_session - wait.duration
    if moment >= now:
        return DueAt(moment)
    return DueAt(now) if wait.if_past == "send" else Past(moment)


def open_periods(*, window: Window | None, quiet: Quiet | None) -> tuple[Window, ...]:
    """The hours that lie in the window and in no quiet hours, as windows; empty = never.

    Quiet hours inside a window cut it in two. Quiet hours that end when they begin never end.
    """
    if quiet is None:
        return (window or Window(opens=time(0), closes=time(0)),)
    silent, loud = quiet
    if silent == loud:
        return ()
    if window is None:
        return (Window(opens=loud, closes=silent),)
    start, end = _span(window.opens, window.closes)
    awake, asleep = _span(loud, silent)
    pieces = []
    for shift in (-DAY, timedelta(0), DAY):
        first, last = max(start, awake + shift), min(end, asleep + shift)
        if first < last:
            pieces.append(_piece(first, last, days=window.days))
    return tuple(pieces)


def _span(opens: time, closes: time) -> tuple[timedelta, timedelta]:
    """Both as time since the midnight before `opens`; `closes` is the next such time after it."""
    start, end = _since_midnight(opens), _since_midnight(closes)
    return start, end if end > start else end + DAY


def _since_midnight(at: time) -> timedelta:
    return datetime.combine(date.min, at) - datetime.combine(date.min, time(0))


def _piece(first: timedelta, last: timedelta, *, days: int) -> Window:
    """A part of a window; one that begins after midnight belongs to the day after."""
    if first >= DAY:
        days = (days << 1 | days >> (len(DAYS) - 1)) & EVERY_DAY
    midnight = datetime.combine(date.min, time(0))
    return Window(
        opens=(midnight + first % DAY).time(), closes=(midnight + last % DAY).time(), days=days
    )


def next_opening(
    at: datetime, *, window: Window | None, quiet: Quiet | None, zone: ZoneInfo
) -> datetime | None:
    """The first instant from `at` on at which a message may go out; `at` itself if it may then.

    None: such an instant never comes. A window belongs to the day on which it opens.
    """
    if window is None and quiet is None:
        return at
    starts = (
        next(
            (
                max(at, opens)
                for opens, closes in _occurrences(piece, at=at, zone=zone)
                if at < closes and opens < closes
            ),
            None,
        )
        for piece in open_periods(window=window, quiet=quiet)
    )
    return min((start for start in starts if start is not None), default=None)


def period_at(
    at: datetime, *, window: Window | None, quiet: Quiet | None, zone: ZoneInfo
) -> Window | None:
    """The open period that holds `at`: what delivery may check by itself. None = no limit.

    It lies within window and quiet hours both, so a message put off by it stays within them.
    """
    if window is None and quiet is None:
        return None
    for piece in open_periods(window=window, quiet=quiet):
        if any(opens <= at < closes for opens, closes in _occurrences(piece, at=at, zone=zone)):
            return piece
    raise ValueError("nothing is open then")


def _occurrences(
    window: Window, *, at: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """The openings around and after `at`, as half-open periods in UTC, oldest first."""
    yesterday = at.astimezone(zone).date() - DAY
    for offset in range(DAYS_AHEAD + 1):
        day = yesterday + offset * DAY
        if window.days >> day.weekday() & 1:
            last = day if window.opens < window.closes else day + DAY
            yield resolve(day, window.opens, zone), resolve(last, window.closes, zone)
