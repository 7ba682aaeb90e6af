"""Hours that stay what they say while clocks change, against a wall clock read by minutes (P08)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture.domain.conditions import ConditionFacts
from nurture.domain.journey import Decision, Send, decide
from nurture.domain.reasons import Reason
from nurture.domain.schedule import period_at, resolve
from nurture.domain.sequence import Step, Wait, WaitKind, Window
from tests.factories import sequences as make
from tests.wall_clock import (
    DAY,
    HOUR,
    MINUTE,
    ZONES,
    Quiet,
    changes,
    first_instant,
    first_open,
    is_open,
)

SYDNEY, NEW_YORK = "Australia/Sydney", "America/New_York"
AT_NINE = Wait(kind=WaitKind.AT, at=time(9))
AFTERWARDS = st.sampled_from((0, 1, 2, 5, 24, 48)).map(lambda n: n * HOUR)
both_changes = pytest.mark.parametrize("change", [0, 1], ids=["first", "second"])
every_zone = pytest.mark.parametrize("name", ZONES)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def ask(wait: Wait, zone: str, anchor: datetime, **given_: Any) -> Decision:
    """What becomes of one message, decided at the moment from which it counts."""
    asked: dict[str, Any] = {
        "facts": ConditionFacts(), "window": None, "quiet": None, "next_session": None,
        "now": anchor, "steps_taken": 0, "bucket": 0.0, "current": "",
    }  # fmt: skip
    steps = [Step(key="hello", text="Hi", wait=wait)]
    return decide(steps=steps, anchor=anchor, zone=ZoneInfo(zone), **(asked | given_))


def due(wait: Wait, zone: str, anchor: datetime, **given_: Any) -> datetime:
    found = ask(wait, zone, anchor, **given_).action
    assert isinstance(found, Send)
    return found.due_at


# --- what others got wrong ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "decided", ["2026-06-07 09:00", "2026-04-05 09:00", "2026-10-04 09:00"],
    ids=["winter", "the day clocks go back", "the day they go forward"],
)  # fmt: skip
def test_mondays_at_eight_in_sydney_decided_on_sunday_at_nine_in_utc_is_the_next_morning(
    decided: str,
) -> None:
    """P08: the offset of that day and the weekday of that place (not Tuesday)."""
    mondays = Window(opens=time(8), closes=time(20), days=0b0000001)

    found = due(Wait(), SYDNEY, utc(decided), window=mondays)

    there = found.astimezone(ZoneInfo(SYDNEY))
    assert (there.strftime("%a %H:%M"), there.date()) == ("Mon 08:00", (utc(decided) + DAY).date())


@pytest.mark.parametrize(
    ("decided", "expected"),
    [
        pytest.param("2026-10-31 19:00", "2026-11-01 09:00", id="before it ends"),
        pytest.param("2026-03-07 19:00", "2026-03-08 09:00", id="before it begins"),
    ],
)
def test_nine_in_new_york_decided_the_evening_before_the_change_is_nine(
    decided: str, expected: str
) -> None:
    """P08: not eight, not ten."""
    assert due(AT_NINE, NEW_YORK, local(decided, NEW_YORK).astimezone(UTC)) == local(
        expected, NEW_YORK
    )


@pytest.mark.parametrize(
    ("saturday", "monday"),
    [
        pytest.param("2026-10-31 08:00", "2026-11-02 09:00", id="back"),
        pytest.param("2026-03-07 08:00", "2026-03-09 09:00", id="forward"),
    ],
)
def test_a_saturday_at_nine_without_weekends_is_monday_at_nine(saturday: str, monday: str) -> None:
    """P08: a day that is passed over is no 24 hours (not Monday at eight)."""
    working = Window(opens=time(9), closes=time(20), days=0b0011111)

    found = due(AT_NINE, NEW_YORK, local(saturday, NEW_YORK).astimezone(UTC), window=working)

    assert found == local(monday, NEW_YORK)


def test_a_window_over_midnight_is_never_turned_round() -> None:
    """P08: 22:00-06:00 means the night; noon is outside it and 23:00 and 05:00 are inside."""
    night = Window(opens=time(22), closes=time(6))
    day = "2026-06-10"

    moments = {hour: utc(f"{day} {hour}") for hour in ("05:00", "12:00", "23:00")}
    found = {hour: due(Wait(), "UTC", at, window=night) for hour, at in moments.items()}

    assert found == moments | {"12:00": utc(f"{day} 22:00")}


def test_quiet_hours_are_those_of_the_learners_zone_in_summer_and_winter() -> None:
    """P09: one offset for all would wake half of them."""
    quiet = (time(22), time(8))
    for zone in ZONES:
        for day in ("2026-01-14", "2026-07-15"):
            found = due(Wait(), zone, local(f"{day} 03:00", zone).astimezone(UTC), quiet=quiet)
            assert found == local(f"{day} 08:00", zone), zone


def test_a_time_of_day_waits_for_its_date() -> None:
    """P06: "the day after tomorrow at nine" is not now."""
    wait = Wait(kind=WaitKind.AT, at=time(9), plus_days=2)
    assert due(wait, "UTC", utc("2026-06-10 08:00")) == utc("2026-06-12 09:00")


# --- every zone, both changes ---------------------------------------------------------------------


def near(name: str, change: int, minutes: int) -> datetime:
    return changes(name)[change] + minutes * MINUTE


AROUND = st.integers(-3 * 24 * 60, 2 * 24 * 60)


@every_zone
@both_changes
@settings(max_examples=10, deadline=None)
@given(minutes=AROUND, at=make.times)
def test_a_local_time_is_the_first_minute_that_reads_it(
    name: str, change: int, minutes: int, at: time
) -> None:
    """P08: a gap gives the first instant after it, a fold the first of two."""
    zone = ZoneInfo(name)
    day = near(name, change, minutes).astimezone(zone).date()
    assert resolve(day, at, zone) == first_instant(day, at, zone)


@every_zone
@both_changes
@settings(max_examples=15, deadline=None)
@given(minutes=AROUND, at=make.times, plus_days=st.integers(0, 3), window=make.windows,
       quiet=make.quiet_hours)  # fmt: skip
def test_a_step_at_a_local_time_goes_out_in_the_first_open_minute_from_then(
    name: str, change: int, minutes: int, at: time, plus_days: int, window: Window | None,
    quiet: Quiet | None,
) -> None:  # fmt: skip
    zone, anchor = ZoneInfo(name), near(name, change, minutes)
    today = anchor.astimezone(zone).date()
    wanted = first_instant(today + plus_days * DAY, at, zone)
    if wanted <= anchor:
        wanted = first_instant(today + DAY, at, zone)
    wait = Wait(kind=WaitKind.AT, at=at, plus_days=plus_days)

    found = ask(wait, name, anchor, window=window, quiet=quiet)

    _goes_out(found, first_open(wanted, window=window, quiet=quiet, zone=zone))


@every_zone
@both_changes
@settings(max_examples=15, deadline=None)
@given(minutes=AROUND, after=AFTERWARDS, late=AFTERWARDS, window=make.windows,
       quiet=make.quiet_hours)  # fmt: skip
def test_a_step_after_a_while_goes_out_in_the_first_open_minute_from_then(
    name: str, change: int, minutes: int, after: timedelta, late: timedelta,
    window: Window | None, quiet: Quiet | None,
) -> None:  # fmt: skip
    """P08, P09: hours that have elapsed are hours, whatever clocks do; what is late is due now."""
    zone, anchor = ZoneInfo(name), near(name, change, minutes)
    wanted = max(anchor + after, anchor + late)

    found = ask(Wait(duration=after), name, anchor, window=window, quiet=quiet, now=anchor + late)

    _goes_out(found, first_open(wanted, window=window, quiet=quiet, zone=zone))


def _goes_out(found: Decision, opening: datetime | None) -> None:
    if opening is None:
        assert [trace.code for trace in found.trail] == [Reason.WINDOW_NEVER_OPENS]
    else:
        assert found.action == Send(step_key="hello", due_at=opening)


@every_zone
@both_changes
@settings(max_examples=10, deadline=None)
@given(minutes=AROUND, window=make.windows, quiet=make.quiet_hours)
def test_what_delivery_checks_by_itself_is_open_exactly_as_long(
    name: str, change: int, minutes: int, window: Window | None, quiet: Quiet | None
) -> None:
    """P08: the period handed to delivery holds the moment, and lies in window and quiet hours."""
    zone, moment = ZoneInfo(name), near(name, change, minutes)
    opened = is_open(moment, window=window, quiet=quiet, zone=zone)
    if not opened:
        with pytest.raises(ValueError, match="nothing is open"):
            period_at(moment, window=window, quiet=quiet, zone=zone)
        return
    period = period_at(moment, window=window, quiet=quiet, zone=zone)
    for n in range(0, 24 * 60, 15):
        at = moment + n * MINUTE
        if period is not None and is_open(at, window=period, quiet=None, zone=zone):
            assert is_open(at, window=window, quiet=quiet, zone=zone)
