"""Windows: midnight, weekdays, the gap and the fold of clock changes (P08)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.domain.windows import EVERY_DAY, Window, is_open, next_opening, resolve

BERLIN = "Europe/Berlin"
WEEKDAYS = 0b0011111
ZONES = (
    "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Sydney",
    "Africa/Cairo", "Pacific/Auckland", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe",
    "Pacific/Apia", "UTC",
)  # fmt: skip


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(
    opens: str = "09:00", closes: str = "20:00", days: int = EVERY_DAY, zone: str = BERLIN
) -> Window:
    return Window(
        opens=time.fromisoformat(opens), closes=time.fromisoformat(closes), days=days, zone=zone
    )


@pytest.mark.parametrize(
    ("hours", "at", "expected"),
    [
        pytest.param(window(), "2026-06-02 10:00", "2026-06-02 10:00", id="open already"),
        pytest.param(window(), "2026-06-02 20:40", "2026-06-03 07:00", id="22:40 waits for nine"),
        pytest.param(window(), "2026-06-02 18:00", "2026-06-03 07:00", id="closing time is shut"),
        pytest.param(window(days=WEEKDAYS), "2026-06-05 19:00", "2026-06-08 07:00", id="weekend"),
        pytest.param(window(days=WEEKDAYS), "2026-03-27 19:00", "2026-03-30 07:00", id="forward"),
        pytest.param(window(days=WEEKDAYS), "2026-10-23 19:00", "2026-10-26 08:00", id="back"),
        pytest.param(
            window("22:00", "06:00"), "2026-06-02 23:00", "2026-06-02 23:00", id="past midnight"
        ),
        pytest.param(
            window("22:00", "06:00"), "2026-06-02 10:00", "2026-06-02 20:00", id="the next night"
        ),
        pytest.param(
            window("22:00", "06:00", days=1 << 4), "2026-06-06 02:00", "2026-06-06 02:00",
            id="the night belongs to the day it began",
        ),
        pytest.param(
            window("22:00", "06:00", days=1 << 5), "2026-06-06 02:00", "2026-06-06 20:00",
            id="saturday's night has not begun on saturday at four",
        ),
        pytest.param(window("09:00", "09:00"), "2026-06-02 03:00", "2026-06-02 03:00", id="whole"),
        pytest.param(window(days=1), "2026-06-01 19:00", "2026-06-08 07:00", id="a week away"),
    ],
)  # fmt: skip
def test_next_opening(hours: Window, at: str, expected: str) -> None:
    assert next_opening(hours, at=utc(at)) == utc(expected)
    assert is_open(hours, at=utc(at)) == (at == expected)


def test_a_time_in_the_gap_is_the_first_instant_after_it() -> None:
    assert resolve(date(2026, 3, 29), time(2, 30), ZoneInfo(BERLIN)) == utc("2026-03-29 01:00")


def test_a_time_that_comes_twice_is_the_first() -> None:
    assert resolve(date(2026, 10, 25), time(2, 30), ZoneInfo(BERLIN)) == utc("2026-10-25 00:30")


def test_a_window_within_the_gap_opens_a_week_later() -> None:
    hours = window("02:15", "02:45", days=1 << 6)

    assert next_opening(hours, at=utc("2026-03-23 12:00")) == utc("2026-04-05 00:15")


@pytest.mark.parametrize("days", [0, 128])
def test_a_window_without_days_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="at least one day"):
        window(days=days)


@given(
    zone=st.sampled_from(ZONES),
    opens=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    closes=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    days=st.integers(1, EVERY_DAY),
    at=st.integers(0, 365 * 24 * 60).map(lambda n: utc("2026-01-01") + timedelta(minutes=n)),
)
def test_an_opening_is_never_early_never_shut_and_soon(
    zone: str, opens: time, closes: time, days: int, at: datetime
) -> None:
    hours = Window(opens=opens, closes=closes, days=days, zone=zone)

    opening = next_opening(hours, at=at)

    assert at <= opening <= at + timedelta(days=16)
    assert is_open(hours, at=opening)
