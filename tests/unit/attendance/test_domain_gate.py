"""N03: the settlement gate as a checklist, and stays as bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from attendance.domain.bars import Frame, frame, lanes
from attendance.domain.gate import Doubts, Point, checklist, opens_at
from attendance.domain.hints import Guest, guest_key
from attendance.domain.kinds import OutcomeKind
from attendance.domain.noticed import Place, place
from attendance.domain.presence import Policy
from attendance.domain.settlement import ClassEvidence

T0 = datetime(2026, 6, 2, 19, tzinfo=UTC)
GOOD = ClassEvidence(confirmed=True, settles_from=T0, log_complete=True, anyone_seen=True)
NOBODY = Doubts(expected=10, seen=9)
HOUR = timedelta(hours=1)


def points(
    session: ClassEvidence = GOOD, doubts: Doubts = NOBODY, *, after: timedelta = 4 * HOUR
) -> dict[str, Point]:
    found = checklist(session=session, policy=Policy(), doubts=doubts, now=T0 + after)
    return {point.letter: point for point in found}


def test_all_points_hold_of_a_class_without_doubts() -> None:
    assert [letter for letter, point in points().items() if point.holds] == list("abcdefg")


@pytest.mark.parametrize(
    ("letter", "session", "doubts"),
    [
        ("a", replace(GOOD, log_complete=False), NOBODY),
        ("b", replace(GOOD, anyone_seen=False), NOBODY),
        ("c", replace(GOOD, few_seen=True), NOBODY),
        ("d", GOOD, replace(NOBODY, held=1)),
        ("e", GOOD, replace(NOBODY, unidentified=2)),
        ("f", replace(GOOD, google_answers=False), NOBODY),
        ("g", replace(GOOD, confirmed=False), NOBODY),
        ("g", replace(GOOD, online=False), NOBODY),
    ],
)
def test_each_doubt_fails_its_own_point(
    letter: str, session: ClassEvidence, doubts: Doubts
) -> None:
    failed = [point for point in points(session, doubts).values() if not point.holds]

    assert [point.letter for point in failed] == [letter]
    assert failed[0].awaited


def test_a_guest_is_awaited_for_a_day() -> None:
    held = replace(NOBODY, held=1)

    assert points(GOOD, held)["d"].until == T0 + 24 * HOUR
    assert points(GOOD, held)["d"].awaited.startswith("One learner waits")
    late = points(GOOD, held, after=25 * HOUR)["d"]
    assert (late.until, "a day has passed" in late.awaited) == (None, True)
    assert points(GOOD, replace(NOBODY, held=3))["d"].awaited.startswith("3 learners wait")


def test_the_log_is_awaited_until_absences_settle() -> None:
    unread = replace(GOOD, log_complete=False)

    assert points(unread, after=HOUR)["a"].until == T0 + 3 * HOUR
    assert points(unread)["a"].until is None
    assert opens_at(session=GOOD, policy=Policy()) == (T0 + HOUR / 2, T0 + 3 * HOUR)


def test_an_address_is_asked_about_everywhere_and_a_name_in_its_course() -> None:
    assert guest_key(guest=Guest(7, ""), course_id=3) == "guest:endpoint:7"
    assert guest_key(guest=Guest(7, "email:a@b.org"), course_id=3) == "guest:email:a@b.org"
    assert guest_key(guest=Guest(7, "display_name:ana"), course_id=3) == "guest:3:display_name:ana"


# --- bars -----------------------------------------------------------------------------------------

START, END = T0 - HOUR, T0
MINUTE = timedelta(minutes=1)


def test_a_bar_lies_where_the_stay_lay() -> None:
    line = Frame(START, END)

    assert line.bar((START + 15 * MINUTE, START + 45 * MINUTE)) == (250, 500)
    assert line.bar((START - HOUR, END + HOUR)) == (0, 1000)
    assert line.bar((END - timedelta(seconds=1), END)) == (996, 4)  # to be seen all the same
    assert line.ticks() == [START + 15 * MINUTE * n for n in range(5)]


def test_the_frame_shows_a_little_around_the_class() -> None:
    def drawn(*stays: tuple[datetime, datetime]) -> tuple[datetime, datetime]:
        found = frame(starts_at=START, ends_at=END, stays=stays)
        return found.starts_at, found.ends_at

    assert drawn() == (START, END)
    assert drawn((START - 5 * MINUTE, END + 5 * MINUTE)) == (START - 5 * MINUTE, END + 5 * MINUTE)
    assert drawn((START - HOUR, END + 2 * HOUR)) == (START - 15 * MINUTE, END + 30 * MINUTE)
    assert drawn((END + HOUR, END + 2 * HOUR)) == (START, END)  # another call altogether


def test_what_overlaps_is_stacked() -> None:
    at = [START + n * 10 * MINUTE for n in range(7)]

    assert lanes([(at[0], at[3]), (at[1], at[2]), (at[2], at[4]), (at[3], at[5])]) == [0, 1, 1, 0]
    assert lanes([]) == []


def test_whom_staff_look_for_comes_first() -> None:
    """N03: whoever says otherwise, who is asked about, unknown, absent, there."""
    lines = [
        ("attended", "dispute", False), ("attended", "guest", False), ("unknown", "", True),
        ("pending", "", True), ("missed", "", True), ("missed", "", False), ("late", "", True),
        ("excused", "", False), ("attended", "", True),
    ]  # fmt: skip
    placed = [place(kind=OutcomeKind(k), asked=a, said_yes=y) for k, a, y in lines]

    assert placed == list(Place)
    assert {place(kind=kind, asked="", said_yes=False) for kind in OutcomeKind} <= set(Place)
