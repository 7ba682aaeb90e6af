"""Which class a call was (S01, google's recurring links)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from attendance.domain.correlation import Call, PlannedClass, correlate
from attendance.domain.kinds import MatchRule

START = datetime(2026, 6, 2, 18, tzinfo=UTC)


def planned(pk: int, *, at: float = 0, code: str = "abc", cancelled: bool = False) -> PlannedClass:
    """An hour, `at` minutes from START."""
    starts_at = START + timedelta(minutes=at)
    return PlannedClass(
        pk, f"e{pk}", "master", code, starts_at, starts_at + timedelta(hours=1), cancelled
    )


def call(start: float, end: float, *, event_id: str = "", code: str = "abc") -> Call:
    """A call from minute to minute."""
    ids = frozenset({event_id} if event_id else ())
    return Call(1, code, ids, START + timedelta(minutes=start), START + timedelta(minutes=end))


WEEK = 7 * 24 * 60


@pytest.mark.parametrize(
    ("held", "classes", "expected"),
    [
        pytest.param(
            call(0, 60, event_id="e1"), [planned(1), planned(2, at=WEEK)],
            {1: MatchRule.EVENT_ID}, id="by its event",
        ),
        pytest.param(
            call(2880, 2940, event_id="e1", code=""), [planned(1, at=2880)],
            {1: MatchRule.EVENT_ID}, id="moved, by its old stamp",
        ),
        pytest.param(
            call(0, 60, event_id="e1"), [planned(1, cancelled=True)], {}, id="cancelled",
        ),
        pytest.param(
            call(0, 60), [planned(1), planned(2, at=WEEK)], {1: MatchRule.CODE}, id="by its link",
        ),
        pytest.param(
            call(0, 60, event_id="master", code=""), [planned(1)],
            {1: MatchRule.RECURRING_ID}, id="by the master",
        ),
        pytest.param(call(0, 60, code="xyz"), [planned(1)], {}, id="another link"),
        pytest.param(call(200, 260), [planned(1)], {}, id="at another time"),
        pytest.param(call(0, 60), [], {}, id="no class at all"),
        pytest.param(
            call(0, 125), [planned(1), planned(2, at=65)],
            {1: MatchRule.CODE, 2: MatchRule.CONTINUED}, id="one call through two classes",
        ),
        pytest.param(
            call(-20, 58), [planned(1), planned(2, at=-90)], {1: MatchRule.CODE},
            id="early, after a neighbour",
        ),
    ],
)  # fmt: skip
def test_the_classes_of_a_call(
    held: Call, classes: list[PlannedClass], expected: dict[int, MatchRule]
) -> None:
    found = correlate(call=held, classes=classes)

    assert dict(found.rules) == expected
    assert found.ambiguous == ()


def test_two_classes_at_one_time_on_one_link_are_for_a_person() -> None:
    found = correlate(call=call(0, 60), classes=[planned(2), planned(1, at=5)])

    assert (dict(found.rules), found.ambiguous) == ({}, (1, 2))


@pytest.mark.parametrize(
    ("organizer", "own_domain", "foreign"),
    [
        ("host@school.example", "", False),
        ("Host@SCHOOL.example", "", False),
        ("", "", False),
        ("x@else.example", "", True),
        ("x@else.example", "else.example", False),
    ],
)
def test_a_call_of_somebody_elses_on_our_link_is_for_a_person_to_judge(
    organizer: str, own_domain: str, foreign: bool
) -> None:
    ours = replace(planned(1), organizer="host@school.example")

    found = correlate(
        call=replace(call(0, 60), organizer=organizer), classes=[ours], own_domain=own_domain
    )

    assert (found.ambiguous, dict(found.rules)) == (
        ((1,), {}) if foreign else ((), {1: MatchRule.CODE})
    )


def test_an_event_id_is_certain_whoever_opened_the_call() -> None:
    ours = replace(planned(1), organizer="host@school.example")
    theirs = replace(call(0, 60, event_id="e1"), organizer="x@else.example")

    assert correlate(call=theirs, classes=[ours]).rules == {1: MatchRule.EVENT_ID}


def test_where_no_organizer_is_known_none_is_foreign() -> None:
    theirs = replace(call(0, 60), organizer="x@else.example")

    assert correlate(call=theirs, classes=[planned(1)]).rules == {1: MatchRule.CODE}
