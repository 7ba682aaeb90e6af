"""From stays to outcomes (S01): the policy's table, and what must hold of any stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.domain.intervals import Interval, clip, covers, length, union
from attendance.domain.kinds import Flag, OutcomeKind
from attendance.domain.presence import Policy, Window, effective_window, judge

START = datetime(2026, 6, 2, 18, tzinfo=UTC)
END = START + timedelta(minutes=60)
CLASS = Window(START, END)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def stay(start: float, end: float) -> Interval:
    """Minutes from the start of the class."""
    return at(start), at(end)


@pytest.mark.parametrize(
    ("stays", "outcome", "seconds"),
    [
        pytest.param([stay(1, 60), stay(0, 59)], "attended", 3600, id="two devices count once"),
        pytest.param([stay(0, 20), stay(22, 40), stay(41, 60)], "attended", 3420, id="rejoins"),
        pytest.param([stay(9.98, 60)], "attended", 3001, id="within the grace"),
        pytest.param([stay(10, 60)], "attended", 3000, id="at the grace"),
        pytest.param([stay(10.02, 60)], "late", 2998, id="a second too late"),
        pytest.param([stay(0, 50)], "attended", 3000, id="at the grace of the end"),
        pytest.param([stay(0, 49.98)], "left_early", 2998, id="left a second too early"),
        pytest.param([stay(15, 45)], "left_early", 1800, id="half of it, leaving decides"),
        pytest.param([stay(20, 40)], "partial", 1200, id="a third"),
        pytest.param([stay(0, 119 / 60)], "missed", 119, id="119 seconds"),
        pytest.param([stay(0, 2)], "partial", 120, id="120 seconds"),
        pytest.param([stay(-40, -20)], "missed", 0, id="before the class"),
        pytest.param([stay(65, 90)], "missed", 0, id="after the class"),
        pytest.param([], "missed", 0, id="never seen"),
    ],
)
def test_the_policys_table(stays: list[Interval], outcome: str, seconds: int) -> None:
    verdict = judge(stays=stays, window=CLASS, policy=Policy())

    assert verdict.outcome == outcome
    assert abs(verdict.present.total_seconds() - seconds) <= 1
    assert (Flag.BRIEF in verdict.flags) == (0 < seconds < 120)


def test_flags_stand_beside_the_outcome() -> None:
    late_and_early = judge(stays=[stay(15, 45)], window=CLASS, policy=Policy())
    rejoined = judge(stays=[stay(0, 20), stay(30, 60), stay(1, 10)], window=CLASS, policy=Policy())

    assert set(late_and_early.flags) == {Flag.LATE, Flag.LEFT_EARLY}
    assert set(rejoined.flags) == {Flag.REJOINED, Flag.MULTI_DEVICE}


@pytest.mark.parametrize(
    ("people", "expected"),
    [
        pytest.param([stay(-2, 63)], Window(at(0), at(60)), id="as planned, overrun cut"),
        pytest.param([stay(10, 60)], Window(at(10), at(60), host_late=True), id="late host"),
        pytest.param([stay(30, 60)], Window(at(15), at(60), host_late=True), id="very late host"),
        pytest.param([stay(0, 40)], Window(at(0), at(40), ended_early=True), id="early end"),
        pytest.param([], Window(at(0), at(60)), id="nobody"),
        pytest.param([stay(-9, -5)], Window(at(0), at(60)), id="only before"),
    ],
)
def test_the_window_that_counts(people: list[Interval], expected: Window) -> None:
    assert effective_window(starts_at=START, ends_at=END, people=people) == expected
    assert expected.length == expected.ends_at - expected.starts_at


STAYS = st.lists(
    st.tuples(st.integers(-60, 120), st.integers(0, 90)).map(lambda p: stay(p[0], p[0] + p[1])),
    max_size=8,
)


@given(stays=STAYS, order=st.randoms())
def test_what_holds_of_any_stays(stays: list[Interval], order: object) -> None:
    shuffled = sorted(stays, key=lambda pair: (pair[1], pair[0]))
    whole = union(clip(stays, start=START, end=END))

    assert judge(stays=stays, window=CLASS, policy=Policy()) == judge(
        stays=shuffled, window=CLASS, policy=Policy()
    )
    assert length(whole) <= min(length(stays), CLASS.length)
    assert covers(stays, start=START, end=END) == (length(whole) == CLASS.length)


@given(stays=STAYS, more=STAYS)
def test_another_record_never_lowers_presence(stays: list[Interval], more: list[Interval]) -> None:
    fewer = judge(stays=stays, window=CLASS, policy=Policy())
    richer = judge(stays=[*stays, *more], window=CLASS, policy=Policy())

    assert richer.present >= fewer.present
    if fewer.outcome != OutcomeKind.MISSED:
        assert richer.outcome != OutcomeKind.MISSED
