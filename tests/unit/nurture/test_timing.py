"""Why a message goes when it does: hours that are shut, and days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.schedule import Quiet
from nurture.domain.sequence import Wait, WaitKind, Window
from nurture.domain.timing import Clocks, Shut, Timing, clocks_at, shift_between, timing

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = timedelta(hours=1)
DAY_HOURS = Window(opens=time(9), closes=time(20))
#: Clocks go from 02:00 to 03:00 on 29 March 2026, from 03:00 to 02:00 on 25 October.
SPRING, AUTUMN = datetime(2026, 3, 29, tzinfo=BERLIN), datetime(2026, 10, 25, tzinfo=BERLIN)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2026 on Berlin's clock."""
    return datetime(2026, 3, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


def of(
    moment: datetime, *, window: Window | None = None, quiet: Quiet | None = None,
    wait: Wait | None = None,
) -> Timing | None:  # fmt: skip
    return timing(
        wait or Wait(), anchor=moment, zone=BERLIN, window=window, quiet=quiet, next_session=None,
        now=moment,
    )  # fmt: skip


def test_what_may_go_now_does() -> None:
    assert of(at(3, 12), window=DAY_HOURS) == Timing(due=at(3, 12), goes=at(3, 12))


@pytest.mark.parametrize(
    ("window", "quiet", "shut"),
    [
        (DAY_HOURS, None, Shut.WINDOW),
        (None, (time(21), time(9)), Shut.QUIET),
        (DAY_HOURS, (time(21), time(9)), Shut.BOTH),
    ],
)
def test_what_keeps_a_message_until_the_morning_is_told(
    window: Window | None, quiet: Quiet | None, shut: Shut
) -> None:
    """P23: 22:40 in Berlin, so Wednesday 09:00."""
    found = of(at(3, 22, 40), window=window, quiet=quiet)

    assert found == Timing(due=at(3, 22, 40), goes=at(4, 9), shut=shut)


def test_hours_that_never_open_are_told() -> None:
    assert of(at(3, 12), quiet=(time(9), time(9))) == Timing(
        due=at(3, 12), goes=None, shut=Shut.QUIET
    )


def test_a_wait_without_a_moment_has_none() -> None:
    before = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR)
    assert of(at(3, 12), wait=before) is None


@pytest.mark.parametrize(
    ("wanted", "local", "clocks"),
    [(time(2, 30), time(3), Clocks.GAP), (time(3), time(3), None), (time(4), time(4), None)],
)
def test_a_time_that_is_left_out_in_spring(wanted: time, local: time, clocks: object) -> None:
    wait = Wait(kind=WaitKind.AT, at=wanted, plus_days=1)
    found = of(at(28, 12), wait=wait)

    assert found is not None
    assert found.goes is not None
    assert found.goes.astimezone(BERLIN).time() == local
    assert found.clocks is clocks


def test_a_time_that_comes_twice_in_autumn_is_the_first() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN)

    assert clocks_at(first, BERLIN) is Clocks.TWICE
    assert clocks_at(first.replace(fold=1), BERLIN) is None
    assert clocks_at(first + 5 * HOUR, BERLIN) is None


def test_a_window_that_opens_in_the_gap_opens_after_it() -> None:
    found = of(at(28, 23), window=Window(opens=time(2, 30), closes=time(6)))

    assert found is not None
    assert found.clocks is Clocks.GAP


def test_by_how_much_the_clocks_change_between_two_messages() -> None:
    assert shift_between(SPRING, SPRING + 30 * HOUR, BERLIN) == HOUR
    assert shift_between(AUTUMN, AUTUMN + 30 * HOUR, BERLIN) == -HOUR
    assert shift_between(AUTUMN, AUTUMN, BERLIN) == 0 * HOUR
