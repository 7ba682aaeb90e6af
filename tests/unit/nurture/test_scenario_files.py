"""Scenarios in the file of a sequence: read with every problem and its line, written out (N10)."""

from __future__ import annotations

from datetime import date, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nurture import scenario_files
from nurture.domain.scenario import MOST_DAYS, Expected, Given, Happening, Scenario
from nurture.sequence_files import SequenceFileError, read_file, write
from tests.factories.sequences import quiet_hours, times

SEQUENCE = "sequence: s\nsteps: [{key: hello, text: Hi}]\n"
SCENARIOS = """\
scenarios:
  - name: Rosa misses a class
    given:
      - {day: 8, at: "10:00", what: presses, detail: pledge_next}
      - {day: 1, at: "18:00", what: class, detail: Lesson 4}
    expect:
      - {step: hello, day: 2, at: "09:00"}
      - {step: reminder, sent: false, reason: opted_out}
  - name: Ana sleeps
    learner: Ana Paz
    time_zone: America/Bogota
    language: es
    quiet: {opens: "22:00", closes: "08:00"}
    first_day: 2026-10-24
    nothing_else: false
    given: [{day: 1, at: "22:00", what: missed}]
    expect: [{step: hello, sent: false}]
"""

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
short = words.map(str.strip).filter(lambda said: 0 < len(said) <= 120)
days = st.integers(1, MOST_DAYS)
codes = st.sampled_from(["", *scenario_files._CODES])
happenings = st.builds(
    Given, day=days, at=times, what=st.sampled_from(Happening), detail=st.just("") | short
)
expectations = st.builds(Expected, step=st.just("hello"), day=days, at=times) | st.builds(
    Expected, step=st.just("gone"), sent=st.just(False), reason=codes
)
scenarios = st.builds(
    Scenario,
    name=short,
    first_day=st.dates(),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/Bogota"]).map(ZoneInfo),
    learner=short,
    language=st.sampled_from(["", "es", "no"]),
    quiet=quiet_hours,
    given=st.lists(happenings, max_size=4).map(
        lambda lines: sorted(lines, key=lambda line: (line.day, line.at))
    ),
    expected=st.lists(expectations, max_size=4),
    nothing_else=st.booleans(),
)


def test_what_is_written_down_is_read_as_meant() -> None:
    rosa, ana = read_file(SEQUENCE + SCENARIOS).scenarios

    assert (rosa.learner, rosa.zone.key, rosa.nothing_else) == ("Rosa Maro", "Europe/Berlin", True)
    assert [line.what for line in rosa.given] == ["class", "presses"]  # in order of time
    assert rosa.expected[0] == Expected(step="hello", day=2, at=time(9))
    assert rosa.expected[1] == Expected(step="reminder", sent=False, reason="opted_out")
    assert (ana.learner, ana.zone.key, ana.language) == ("Ana Paz", "America/Bogota", "es")
    assert (ana.quiet, ana.first_day) == ((time(22), time(8)), date(2026, 10, 24))
    assert not ana.nothing_else


def test_a_file_without_them_is_what_it_was() -> None:
    assert read_file(SEQUENCE).scenarios == ()
    assert scenario_files.write([]) == ""
    assert "scenarios" not in write(read_file(SEQUENCE + SCENARIOS).spec)


@given(st.lists(scenarios, max_size=3, unique_by=lambda scenario: scenario.name))
@settings(max_examples=30)
def test_nothing_is_changed_on_the_way_out_and_in(found: list[Scenario]) -> None:
    again = read_file(SEQUENCE + scenario_files.write(found)).scenarios

    assert list(again) == found


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("what: missed", "what: snored", 18, "what: 'snored' is not one of class, attended"),
        ("day: 8", "day: 0", 6, "day: expected a whole number from 1 to 120"),
        ("day: 8", "day: 121", 6, "day: expected a whole number from 1 to 120"),
        ('day: 2, at: "09:00"', "day: 2", 9, "'at' is missing"),
        ("day: 2, ", "day: 2, reason: opted_out, ", 9, "unknown key 'reason'"),
        ("reason: opted_out", "reason: bored", 10, "reason: 'bored' is not one of"),
        ("America/Bogota", "America/Nowhere", 13, "is no time zone such as Europe/Madrid"),
        ("2026-10-24", "2026-02-31", 16, "is no day such as 2026-03-02"),
        ("2026-10-24", "24.10.", 16, "is no day such as 2026-03-02"),
        ("2026-10-24", "2026-10-24T10:00:00", 16, "is no day such as 2026-03-02"),
        (', closes: "08:00"', "", 15, "'closes' is missing"),
        ("Ana sleeps", "Rosa misses a class", 11, "a second scenario with the name"),
        ("learner: Ana Paz", f"learner: {'a' * 121}", 12, "expected at most 120 characters"),
        ("nothing_else: false", "nothing_more: false", 17, "unknown key 'nothing_more'"),
        ("step: hello, sent: false", "sent: false", 19, "'step' is missing"),
    ],
)
def test_each_problem_has_its_line(old: str, new: str, line: int, said: str) -> None:
    with pytest.raises(SequenceFileError) as caught:
        read_file(SEQUENCE + SCENARIOS.replace(old, new))

    (problem,) = caught.value.problems
    assert said in problem.message
    assert problem.line == line
