"""What a scenario expected is compared with what came (N10)."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.scenario import (
    Expected,
    Given,
    Happening,
    Heard,
    Scenario,
    Told,
    expected_from_json,
    expected_to_json,
    given_from_json,
    given_to_json,
    judge,
    problems,
    strangers,
)

BERLIN = ZoneInfo("Europe/Berlin")
NINE = datetime(2026, 3, 3, 8, 0, 20, tzinfo=UTC)  # Tuesday, 09:00:20 in Berlin
HEARD = Heard(step="hello", at=NINE, text="Hi.")
MISSED = Given(day=1, at=time(22), what=Happening.MISSED)


def scenario(*expected: Expected, **overrides: Any) -> Scenario:
    """Rosa misses a class on Monday."""
    values: dict[str, Any] = {
        "name": "s", "first_day": date(2026, 3, 2), "zone": BERLIN, "given": [MISSED],
        "expected": expected,
    }  # fmt: skip
    return Scenario(**(values | overrides))


def verdict(*expected: Expected, told: Told, **overrides: Any) -> list[tuple[bool, str]]:
    """Each line: passed, and in words."""
    return [(c.passed, c.said) for c in judge(scenario(*expected, **overrides), told)]


@pytest.mark.parametrize(
    ("expected", "told", "lines"),
    [
        (Expected(step="hello", day=2, at=time(9)), Told(heard=[HEARD]),
         [(True, "hello was sent, day 2 (Tue 03 Mar) at 09:00")]),
        (Expected(step="hello", day=1, at=time(22)), Told(heard=[HEARD]),
         [(False, "hello was sent, day 2 (Tue 03 Mar) at 09:00; "
                  "expected day 1 (Mon 02 Mar) at 22:00")]),
        (Expected(step="hello", day=2, at=time(9)), Told(because={"hello": frozenset({"capped"})}),
         [(False, "hello was not sent (capped); expected day 2 (Tue 03 Mar) at 09:00")]),
        (Expected(step="hello", day=2, at=time(9)), Told(),
         [(False, "hello was not sent (nothing led to it); expected day 2 (Tue 03 Mar) at 09:00")]),
        (Expected(step="hello", sent=False), Told(heard=[HEARD]),
         [(False, "hello was sent, day 2 (Tue 03 Mar) at 09:00, and should not be")]),
        (Expected(step="hello", sent=False), Told(),
         [(True, "hello was not sent: nothing led to it")]),
        (Expected(step="hello", sent=False), Told(because={"": frozenset({"held_out"})}),
         [(True, "hello was not sent: held out")]),
        (Expected(step="hello", sent=False, reason="capped"),
         Told(because={"hello": frozenset({"capped"})}),
         [(True, "hello was not sent: capped")]),
        (Expected(step="hello", sent=False, reason="capped"),
         Told(because={"hello": frozenset({"expired"})}),
         [(False, "hello was not sent, but because of expired, not capped")]),
        (Expected(step="hello", sent=False, reason="capped"), Told(),
         [(False, "hello was not sent, but because of no reason was noted, not capped")]),
    ],
)  # fmt: skip
def test_a_line_and_its_verdict(
    expected: Expected, told: Told, lines: list[tuple[bool, str]]
) -> None:
    assert verdict(expected, told=told) == lines


def test_what_nobody_expects_fails_unless_it_may_come() -> None:
    told = Told(heard=[HEARD, Heard(step="more", at=NINE, text="More.")])
    line = Expected(step="hello", day=2, at=time(9))
    said = "more was sent, day 2 (Tue 03 Mar) at 09:00; nobody expects it"
    assert verdict(line, told=told)[1:] == [(False, said)]
    assert verdict(line, told=told, nothing_else=False)[1:] == []


def test_each_message_answers_one_line() -> None:
    """Two lines for one message: the second has none left."""
    line = Expected(step="hello", day=2, at=time(9))
    assert [ok for ok, _ in verdict(line, line, told=Told(heard=[HEARD]))] == [True, False]
    assert [ok for ok, _ in verdict(line, line, told=Told(heard=[HEARD, HEARD]))] == [True, True]


def test_it_is_listened_for_a_fortnight_after_the_last_line() -> None:
    assert scenario(Expected(step="a", day=5)).until == datetime(2026, 3, 19, 23, tzinfo=UTC)
    assert scenario(given=[]).until == datetime(2026, 3, 15, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"given": []}, "Nothing happens"),
        ({"expected": []}, "expects nothing"),
        ({"given": [Given(day=0, at=time(9), what=Happening.WRITES)]}, "count from 1"),
        ({"given": [Given(day=1, at=time(9), what=Happening.PRESSES)]}, "which button"),
    ],
)
def test_what_is_no_scenario(overrides: dict[str, Any], words: str) -> None:
    good = scenario(Expected(step="hello"))
    assert list(problems(good)) == []
    [said] = problems(scenario(**({"expected": [Expected(step="hello")]} | overrides)))
    assert words in said


def test_steps_that_are_gone() -> None:
    lines = scenario(Expected(step="old"), Expected(step="hello"))
    assert strangers(lines, ["hello"]) == ["old"]


def test_it_is_kept_as_it_is() -> None:
    lines = [MISSED, Given(day=2, at=time(9, 30), what=Happening.PRESSES, detail="dispute")]
    assert given_from_json(reversed(given_to_json(lines))) == lines  # in order of time
    wanted = [Expected(step="a", sent=False, reason="capped"), Expected(step="b", at=time(7))]
    assert expected_from_json(expected_to_json(wanted)) == wanted
