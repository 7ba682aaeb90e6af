"""What a clock on the wall shows, read minute by minute: it shares nothing with the code.

Where a clock has been put back, the hour that comes again does not count: it reads what it read
before. So "the first instant that reads 02:30 or later" is what a rule means that says 02:30.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from nurture.domain.sequence import EVERY_DAY, Window

ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Sydney", "Australia/Lord_Howe",
    "America/Sao_Paulo", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham",
    "Africa/Casablanca", "America/St_Johns", "Pacific/Apia", "UTC",
)  # fmt: skip
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
#: Clocks that do not change are looked at when those of Europe do.
_ELSEWHERE = (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
_A_DAY = 24 * 60
_WEEK = 7

Quiet = tuple[time, time]


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The first instants after a zone changes its clocks in 2026; two dates where it does not."""
    zone, start = ZoneInfo(name), datetime(2026, 1, 1, tzinfo=UTC)
    halves = [start + n * HOUR / 2 for n in range(365 * 48)]
    offsets = [half.astimezone(zone).utcoffset() for half in halves]
    found = [half for n, half in enumerate(halves[1:]) if offsets[n] != offsets[n + 1]]
    return tuple(found) or _ELSEWHERE


@cache
def _readings(zone: ZoneInfo, day: date) -> list[int]:
    """What the clock reads at each minute of a day in UTC, in minutes of the local calendar."""
    start = datetime.combine(day, time(0), tzinfo=UTC)
    shown, most = [], 0
    for n in range(-3 * 60, _A_DAY):
        there = (start + n * MINUTE).astimezone(zone)
        most = max(most, there.toordinal() * _A_DAY + there.hour * 60 + there.minute)
        shown.append(most)
    return shown[3 * 60 :]


def reads(at: datetime, zone: ZoneInfo) -> int:
    """What the clock reads at an instant, in minutes of the local calendar."""
    there = at.astimezone(UTC)
    return _readings(zone, there.date())[there.hour * 60 + there.minute]


def first_instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The first minute at which the clock reads this local time or later."""
    wanted = day.toordinal() * _A_DAY + _minutes(at)
    moment = datetime.combine(day, at, tzinfo=UTC) - 15 * HOUR
    while reads(moment, zone) < wanted:
        moment += MINUTE
    return moment


def is_open(at: datetime, *, window: Window | None, quiet: Quiet | None, zone: ZoneInfo) -> bool:
    """Whether a message may go out at an instant."""
    return _allows(reads(at, zone), window, quiet)


def first_open(
    at: datetime, *, window: Window | None, quiet: Quiet | None, zone: ZoneInfo
) -> datetime | None:
    """The first instant from `at` on at which a message may go out; None if none comes soon."""
    if is_open(at, window=window, quiet=quiet, zone=zone):
        return at
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for n in range(15):
        for minute, shown in enumerate(_readings(zone, (midnight + n * DAY).date())):
            if _allows(shown, window, quiet):
                moment = midnight + n * DAY + minute * MINUTE
                if moment > at:
                    return moment
    return None


def _allows(now: int, window: Window | None, quiet: Quiet | None) -> bool:
    if quiet is not None and _within(now, *quiet, EVERY_DAY):
        return False
    return window is None or _within(now, window.opens, window.closes, window.days)


def _within(now: int, opens: time, closes: time, days: int) -> bool:
    first, last = _minutes(opens), _minutes(closes)
    last += _A_DAY if last <= first else 0
    today, minute = divmod(now, _A_DAY)
    if days >> (today - 1) % _WEEK & 1 and first <= minute < last:
        return True
    return bool(days >> (today - 2) % _WEEK & 1) and minute + _A_DAY < last


def _minutes(at: time) -> int:
    return at.hour * 60 + at.minute
