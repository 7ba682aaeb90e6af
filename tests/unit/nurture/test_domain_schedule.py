"""When a step is due and when it may go out: zones, clock changes, windows, quiet hours (P08)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.schedule import (
    DueAt,
    NoSession,
    Past,
    UntilEvent,
    due_at,
    next_opening,
    open_periods,
    period_at,
    resolve,
    zone_of,
)
from nurture.domain.sequence import EVERY_DAY, Wait, WaitKind, Window

BERLIN, NEW_YORK, SYDNEY = "Europe/Berlin", "America/New_York", "Australia/Sydney"
ZONES = (
    BERLIN, "Europe/London", "Europe/Athens", NEW_YORK, "America/Los_Angeles", "America/St_Johns",
    "America/Havana", "America/Santiago", SYDNEY, "Australia/Lord_Howe", "Pacific/Auckland",
    "Asia/Jerusalem",
)  # fmt: skip
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MONDAY, WEEKDAYS, FRIDAY, SATURDAY = 0b0000001, 0b0011111, 0b0010000, 0b0100000


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def clock(text: str) -> time:
    return time.fromisoformat(text)


def window(hours: str, days: int = EVERY_DAY) -> Window:
    opens, closes = hours.split("-")
    return Window(opens=clock(opens), closes=clock(closes), days=days)


def quiet(hours: str) -> tuple[time, time] | None:
    """Quiet hours such as 22:00-07:00; "" is none."""
    silent, _, loud = hours.partition("-")
    return (clock(silent), clock(loud)) if hours else None


def at(hour: str, plus_days: int = 0) -> Wait:
    return Wait(kind=WaitKind.AT, at=clock(hour), plus_days=plus_days)


def due(wait: Wait, anchor: datetime, zone: str) -> datetime:
    found = due_at(wait, anchor=anchor, zone=ZoneInfo(zone), next_session=None, now=anchor)
    assert isinstance(found, DueAt)
    return found.at


# --- local times ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "hour", "zone", "expected"),
    [
        pytest.param("2026-06-02", "09:00", BERLIN, "2026-06-02 07:00", id="an ordinary day"),
        pytest.param("2026-03-29", "02:30", BERLIN, "2026-03-29 01:00", id="the gap"),
        pytest.param("2026-03-29", "03:00", BERLIN, "2026-03-29 01:00", id="the gap's end"),
        pytest.param("2026-10-25", "02:30", BERLIN, "2026-10-25 00:30", id="twice: the first"),
        pytest.param("2026-03-08", "02:00", NEW_YORK, "2026-03-08 07:00", id="the gap's start"),
        pytest.param("2026-11-01", "01:59", NEW_YORK, "2026-11-01 05:59", id="twice, New York"),
        pytest.param(
            "2026-10-04", "02:15", "Australia/Lord_Howe", "2026-10-03 15:30", id="half an hour"
        ),
        pytest.param("2026-09-06", "00:30", "America/Santiago", "2026-09-06 04:00", id="midnight"),
        pytest.param(
            "2011-12-30", "12:00", "Pacific/Apia", "2011-12-30 10:00", id="a day that never was"
        ),
    ],
)
def test_a_local_time_is_an_instant(day: str, hour: str, zone: str, expected: str) -> None:
    """P08: after a gap, the first of two."""
    assert resolve(date.fromisoformat(day), clock(hour), ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param((SYDNEY, BERLIN, "UTC"), SYDNEY, id="the contact's"),
        pytest.param(("", BERLIN, "UTC"), BERLIN, id="the course's"),
        pytest.param(("Mars/Base", "../etc/passwd", NEW_YORK), NEW_YORK, id="the default"),
        pytest.param(("Europe", "/etc", "\0"), "UTC", id="none is a zone"),
    ],
)
def test_the_first_zone_that_is_one(names: tuple[str, str, str], expected: str) -> None:
    """P08: the chain."""
    assert zone_of(*names).key == expected


# --- waits ----------------------------------------------------------------------------------------

ANCHOR = utc("2026-06-10 12:00")
BEFORE = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR)
BEFORE_OR_NOW = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR, if_past="send")


@pytest.mark.parametrize(
    ("wait", "session", "expected"),
    [
        pytest.param(Wait(), None, DueAt(ANCHOR), id="no wait"),
        pytest.param(Wait(duration=DAY), None, DueAt(ANCHOR + DAY), id="after"),
        pytest.param(
            Wait(kind=WaitKind.UNTIL_EVENT, event="kept", duration=DAY), None,
            UntilEvent(ANCHOR + DAY), id="until an event",
        ),
        pytest.param(BEFORE, None, NoSession(), id="no class"),
        pytest.param(BEFORE, ANCHOR, NoSession(), id="the class begins now"),
        pytest.param(BEFORE, ANCHOR + DAY, DueAt(ANCHOR + 22 * HOUR), id="before the class"),
        pytest.param(BEFORE, ANCHOR + 2 * HOUR, DueAt(ANCHOR), id="just in time"),
        pytest.param(BEFORE, ANCHOR + HOUR, Past(ANCHOR - HOUR), id="past"),
        pytest.param(BEFORE_OR_NOW, ANCHOR + HOUR, DueAt(ANCHOR), id="past, send"),
    ],
)  # fmt: skip
def test_when_a_wait_is_over(wait: Wait, session: datetime | None, expected: object) -> None:
    zone = ZoneInfo(BERLIN)
    assert due_at(wait, anchor=ANCHOR, zone=zone, next_session=session, now=ANCHOR) == expected


@pytest.mark.parametrize(
    ("wait", "anchor", "zone", "expected"),
    [
        pytest.param(at("15:00"), "2026-06-10 12:00", BERLIN, "2026-06-10 15:00", id="ahead"),
        pytest.param(at("14:00"), "2026-06-10 12:00", BERLIN, "2026-06-11 14:00", id="just now"),
        pytest.param(at("09:00"), "2026-06-10 12:00", BERLIN, "2026-06-11 09:00", id="gone by"),
        pytest.param(at("09:00", 1), "2026-06-10 12:00", BERLIN, "2026-06-11 09:00", id="morrow"),
        pytest.param(at("15:00", 1), "2026-06-10 12:00", BERLIN, "2026-06-11 15:00", id="morrow 2"),
        pytest.param(
            at("09:00", 1), "2026-06-10 22:30", BERLIN, "2026-06-12 09:00", id="local day counts"
        ),
        pytest.param(at("09:00"), "2026-10-31 23:00", NEW_YORK, "2026-11-01 09:00", id="autumn"),
        pytest.param(at("09:00"), "2026-03-07 23:00", NEW_YORK, "2026-03-08 09:00", id="spring"),
        pytest.param(at("09:00", 7), "2026-10-28 16:00", NEW_YORK, "2026-11-04 09:00", id="week"),
    ],
)
def test_a_step_at_a_local_time(wait: Wait, anchor: str, zone: str, expected: str) -> None:
    """P08, P06: "09:00 New York" decided the evening before the change stays 09:00."""
    assert due(wait, utc(anchor), zone) == local(expected, zone)


def test_mondays_in_sydney_decided_on_sunday_morning_in_utc() -> None:
    """P08: Sunday 09:00 UTC is Sunday evening there: Monday is the next morning."""
    decided = utc("2026-06-07 09:00")
    moment = due(at("08:00"), decided, SYDNEY)
    mondays = window("08:00-20:00", MONDAY)
    opening = next_opening(moment, window=mondays, quiet=None, zone=ZoneInfo(SYDNEY))
    assert opening == local("2026-06-08 08:00", SYDNEY) == utc("2026-06-07 22:00")
    assert next_opening(decided, window=mondays, quiet=None, zone=ZoneInfo(SYDNEY)) == opening


@pytest.mark.parametrize(
    ("saturday", "monday", "in_utc"),
    [
        pytest.param("2026-10-31", "2026-11-02 09:00", "2026-11-02 14:00", id="autumn"),
        pytest.param("2026-03-07", "2026-03-09 09:00", "2026-03-09 13:00", id="spring"),
    ],
)
def test_a_saturday_step_pushed_over_the_change(saturday: str, monday: str, in_utc: str) -> None:
    """P08: with the weekend excluded it is Monday 09:00 local, not an hour beside it."""
    anchor = local(f"{saturday} 08:00", NEW_YORK).astimezone(UTC)
    moment = due(at("09:00"), anchor, NEW_YORK)
    assert moment == local(f"{saturday} 09:00", NEW_YORK)
    hours = window("09:00-20:00", WEEKDAYS)
    opening = next_opening(moment, window=hours, quiet=None, zone=ZoneInfo(NEW_YORK))
    assert opening == local(monday, NEW_YORK) == utc(in_utc)


# --- windows and quiet hours ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "silent", "expected"),
    [
        pytest.param(None, "", [window("00:00-00:00")], id="neither"),
        pytest.param(window("09:00-20:00"), "", [window("09:00-20:00")], id="no quiet hours"),
        pytest.param(None, "22:00-07:00", [window("07:00-22:00")], id="no window"),
        pytest.param(None, "00:00-00:00", [], id="always quiet"),
        pytest.param(window("09:00-20:00"), "08:00-08:00", [], id="always quiet, window or not"),
        pytest.param(window("09:00-20:00"), "22:00-07:00", [window("09:00-20:00")], id="apart"),
        pytest.param(window("09:00-20:00"), "19:00-10:00", [window("10:00-19:00")], id="both ends"),
        pytest.param(
            window("09:00-20:00"), "12:00-14:00", [window("09:00-12:00"), window("14:00-20:00")],
            id="cut in two",
        ),
        pytest.param(window("09:00-20:00"), "08:00-21:00", [], id="swallowed"),
        pytest.param(
            window("20:00-04:00", FRIDAY), "23:00-02:00",
            [window("20:00-23:00", FRIDAY), window("02:00-04:00", SATURDAY)], id="after midnight",
        ),
        pytest.param(
            window("20:00-04:00", 0b1000000), "20:00-02:00", [window("02:00-04:00", MONDAY)],
            id="Sunday's night is Monday's",
        ),
    ],
)  # fmt: skip
def test_what_is_open(hours: Window | None, silent: str, expected: list[Window]) -> None:
    assert sorted(open_periods(window=hours, quiet=quiet(silent)), key=str) == sorted(
        expected, key=str
    )


@pytest.mark.parametrize(
    ("hours", "silent", "moment", "expected"),
    [
        pytest.param("09:00-20:00", "", "2026-06-02 12:00", "2026-06-02 12:00", id="open"),
        pytest.param("09:00-20:00", "", "2026-06-02 09:00", "2026-06-02 09:00", id="opens now"),
        pytest.param("09:00-20:00", "", "2026-06-02 20:00", "2026-06-03 09:00", id="shuts now"),
        pytest.param("22:00-02:00", "", "2026-06-02 01:00", "2026-06-02 01:00", id="night"),
        pytest.param("22:00-02:00", "", "2026-06-02 12:00", "2026-06-02 22:00", id="next night"),
        pytest.param("", "22:00-07:00", "2026-06-02 23:00", "2026-06-03 07:00", id="quiet"),
        pytest.param("", "22:00-07:00", "2026-06-02 08:00", "2026-06-02 08:00", id="awake"),
        pytest.param("", "12:00-14:00", "2026-06-02 13:00", "2026-06-02 14:00", id="siesta"),
        pytest.param("", "", "2026-06-02 03:00", "2026-06-02 03:00", id="no limit"),
        pytest.param("09:00-20:00", "", "2026-03-28 21:00", "2026-03-29 09:00", id="forward"),
        pytest.param("09:00-20:00", "", "2026-10-24 21:00", "2026-10-25 09:00", id="back"),
        pytest.param("02:00-03:00", "", "2026-03-28 12:00", "2026-03-30 02:00", id="all gap"),
        pytest.param("02:30-04:00", "", "2026-03-28 12:00", "2026-03-29 03:00", id="half gap"),
    ],
)
def test_next_opening_in_berlin(hours: str, silent: str, moment: str, expected: str) -> None:
    """P08, P06."""
    opening = next_opening(
        local(moment, BERLIN).astimezone(UTC),
        window=window(hours) if hours else None, quiet=quiet(silent), zone=ZoneInfo(BERLIN),
    )  # fmt: skip
    assert opening == local(expected, BERLIN).astimezone(UTC)


def test_a_weekday_whose_window_is_a_gap_opens_a_week_later() -> None:
    sundays = window("02:00-03:00", 0b1000000)
    opening = next_opening(
        local("2026-03-28 12:00", BERLIN), window=sundays, quiet=None, zone=ZoneInfo(BERLIN)
    )
    assert opening == local("2026-04-05 02:00", BERLIN)


@pytest.mark.parametrize(("days", "silent"), [(0, ""), (EVERY_DAY, "08:00-21:00")])
def test_what_is_never_open(days: int, silent: str) -> None:
    zone, hours = ZoneInfo(BERLIN), window("09:00-20:00", days)
    assert next_opening(ANCHOR, window=hours, quiet=quiet(silent), zone=zone) is None
    with pytest.raises(ValueError, match="nothing is open"):
        period_at(ANCHOR, window=hours, quiet=quiet(silent), zone=zone)


def test_no_limit_has_no_period() -> None:
    assert period_at(ANCHOR, window=None, quiet=None, zone=ZoneInfo(BERLIN)) is None


def test_the_period_is_the_piece_that_holds_the_moment() -> None:
    found = period_at(
        local("2026-06-02 15:00", BERLIN), window=window("09:00-20:00"),
        quiet=quiet("12:00-14:00"), zone=ZoneInfo(BERLIN),
    )  # fmt: skip
    assert found == window("14:00-20:00")


# --- every zone, both changes ---------------------------------------------------------------------


@cache
def changes(name: str) -> tuple[datetime, ...]:
    """The hours of 2026 in which a zone changes its clocks."""
    zone, start = ZoneInfo(name), utc("2026-01-01 00:00")
    hours = (start + n * HOUR for n in range(365 * 24))
    return tuple(
        hour
        for hour in hours
        if hour.astimezone(zone).utcoffset() != (hour + HOUR).astimezone(zone).utcoffset()
    )


NEAR_A_CHANGE = st.builds(
    lambda name, which, minutes: (name, changes(name)[which] + timedelta(minutes=minutes)),
    st.sampled_from(ZONES), st.integers(0, 1), st.integers(-3 * 24 * 60, 3 * 24 * 60),
)  # fmt: skip
TIMES = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
QUIET = st.none() | st.tuples(TIMES, TIMES)
WINDOWS = st.none() | st.builds(Window, opens=TIMES, closes=TIMES, days=st.integers(1, EVERY_DAY))


@pytest.mark.parametrize("name", ZONES)
def test_every_zone_here_changes_twice(name: str) -> None:
    assert len(changes(name)) == 2


@given(place=NEAR_A_CHANGE, hour=TIMES, plus_days=st.integers(0, 3))
def test_a_local_time_near_a_change(
    place: tuple[str, datetime], hour: time, plus_days: int
) -> None:
    """P08: ahead, on the day that was asked, and at that time, or where the gap with it ends."""
    name, anchor = place
    zone = ZoneInfo(name)

    found = due(Wait(kind=WaitKind.AT, at=hour, plus_days=plus_days), anchor, name)

    there = found.astimezone(zone)
    waited = (there.date() - anchor.astimezone(zone).date()).days
    assert found > anchor
    assert waited in ({0, 1} if plus_days == 0 else {plus_days})
    before = (found - timedelta(seconds=1)).astimezone(zone)
    assert there.time() == hour or before.time() < hour < there.time() or before.day < there.day
    assert not there.fold


@given(place=NEAR_A_CHANGE, hours=WINDOWS, silent=QUIET)
def test_an_opening_near_a_change(
    place: tuple[str, datetime], hours: Window | None, silent: tuple[time, time] | None
) -> None:
    """P08: never early, soon, in an open period, and nothing is open before it."""
    name, moment = place
    zone = ZoneInfo(name)

    opening = next_opening(moment, window=hours, quiet=silent, zone=zone)

    if opening is None:
        assert not open_periods(window=hours, quiet=silent)
        return
    assert moment <= opening <= moment + 15 * DAY
    period = period_at(opening, window=hours, quiet=silent, zone=zone)
    if period is None:
        assert opening == moment
        return
    assert next_opening(opening, window=hours, quiet=silent, zone=zone) == opening
    if opening > moment:
        with pytest.raises(ValueError, match="nothing is open"):
            period_at(
                max(moment, opening - timedelta(minutes=1)), window=hours, quiet=silent, zone=zone
            )
