"""When a job runs: hours on a clock that changes, nights that were missed, runs that failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.jobs import RETRY, TRIES, Hour, next_run

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("hour", "now", "following"),
    [
        (Hour(3), "2026-03-10T01:59:59", "2026-03-10T02:00:00"),
        (Hour(3), "2026-03-10T02:00:00", "2026-03-11T02:00:00"),  # strictly after
        (Hour(2), "2026-03-28T12:00:00", "2026-03-29T01:00:00"),  # 02:00 is left out that night
        (Hour(2), "2026-10-24T12:00:00", "2026-10-25T00:00:00"),  # and comes twice here: the first
        (Hour(2), "2026-10-25T00:30:00", "2026-10-26T01:00:00"),
        (Hour(5, weekday=0), "2026-03-10T00:00:00", "2026-03-16T04:00:00"),  # a Tuesday → Monday
        (Hour(5, weekday=0), "2026-03-16T03:00:00", "2026-03-16T04:00:00"),
    ],
)
def test_the_next_hour(hour: Hour, now: str, following: str) -> None:
    assert hour.after(at(now), BERLIN) == at(following)


@pytest.mark.parametrize(
    ("good", "tries", "wait"),
    [
        (True, 0, timedelta(hours=14)),
        (False, 1, RETRY),
        (False, 2, 2 * RETRY),
        (False, TRIES, timedelta(hours=14)),  # enough for tonight
    ],
)
def test_after_a_run(good: bool, tries: int, wait: timedelta) -> None:
    now = at("2026-03-10T12:00:00")

    assert next_run(hour=Hour(3), good=good, tries=tries, now=now, zone=BERLIN) == now + wait


def test_a_repeat_does_not_pass_the_next_regular_run() -> None:
    now = at("2026-03-10T01:50:00")

    assert next_run(hour=Hour(3), good=False, tries=2, now=now, zone=BERLIN) == now + timedelta(
        minutes=10
    )
