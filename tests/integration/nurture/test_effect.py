"""Sent beside held out, from the entries that the engine decided to the next class of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attendance.models import ClassSession, Course, Outcome
from nurture import services
from nurture.domain.effect import Verdict
from nurture.models import Contact, HoldoutAssignment, Sequence
from nurture.services.insight import cases, effect
from tests.factories import nurture as make
from tests.factories.runs import make_runs

pytestmark = pytest.mark.django_db
HALF = make.PLAIN + "holdout: 50\n"
WEEK = timedelta(days=7)


def missed(course: Course, people: list[Contact]) -> None:
    """Everybody misses a class, and the engine acts on it."""
    session = make.make_session(course=course)
    for contact in people:
        make.make_fact(contact=contact, session=session)
    services.tick(now=make.NOW)


def next_class(course: Course, weeks: int = 1, **outcomes: Any) -> None:
    """A later class with outcomes, by first name."""
    session = make.make_session(
        course=course, starts_at=make.CLASS_STARTS + weeks * WEEK, title=f"Week {weeks}"
    )
    for contact in Contact.objects.select_related("learner"):
        said = outcomes.get(contact.learner.name)
        if said is not None:
            make.make_fact(said, contact=contact, session=session)


@pytest.fixture
def sequence() -> Sequence:
    """A sequence that leaves half alone."""
    return make.make_sequence(HALF)


def draw(sequence: Sequence, contact: Contact, *, held_out: bool) -> None:
    """As the engine would have drawn it."""
    HoldoutAssignment.objects.create(
        sequence=sequence, learner=contact.learner, held_out=held_out, assigned_at=make.CLASS_STARTS
    )


def test_each_group_is_judged_by_its_next_class(sequence: Sequence) -> None:
    """P20: who was held out is a decision; both groups are looked at in the class after it."""
    course = make.make_course()
    people = {name: make.make_contact(name=name) for name in ("Sam", "Sue", "Hal", "Hana")}
    for name, contact in people.items():
        draw(sequence, contact, held_out=name.startswith("H"))
    missed(course, list(people.values()))
    next_class(course, Sam="attended", Sue="missed", Hal="late", Hana="missed")
    Outcome.objects.filter(learner__name="Hal", outcome="late").update(present_seconds=1800)

    rows = cases(sequence_id=sequence.pk)
    found = effect(rows)

    assert {row.name: (row.held_out, row.came, row.seconds // 60) for row in rows} == {
        "Sam": (False, True, 60), "Sue": (False, False, 0),
        "Hal": (True, True, 30), "Hana": (True, False, 0),
    }  # fmt: skip
    assert {row.title for row in rows} == {"Week 1"}
    assert (found.sent.known, found.sent.came, found.held.known, found.held.came) == (2, 1, 2, 1)
    assert (found.sent.mean_minutes, found.held.mean_minutes) == (30, 15)
    assert found.verdict is Verdict.TOO_FEW
    assert all((row.journey_id is None) == row.held_out for row in rows)


def test_excused_and_cancelled_classes_are_stepped_over(sequence: Sequence) -> None:
    course = make.make_course()
    sam = make.make_contact(name="Sam")
    draw(sequence, sam, held_out=False)
    missed(course, [sam])
    next_class(course, 1, Sam="missed")
    Outcome.objects.filter(session__title="Week 1").update(outcome="excused")
    next_class(course, 2, Sam="missed")
    ClassSession.objects.filter(title="Week 2").update(status="cancelled")
    next_class(course, 3, Sam="attended")

    (row,) = cases(sequence_id=sequence.pk)

    assert (row.title, row.came) == ("Week 3", True)


def test_what_is_not_judged_yet_is_not_known(sequence: Sequence) -> None:
    """A class that is pending, or has not come, says nothing; nor does another course."""
    course, other = make.make_course(), make.make_course()
    sam, sue = make.make_contact(name="Sam"), make.make_contact(name="Sue")
    draw(sequence, sam, held_out=False)
    draw(sequence, sue, held_out=False)
    missed(course, [sam, sue])
    next_class(course, 1, Sam="missed")
    Outcome.objects.filter(session__title="Week 1").update(
        outcome="pending", effective=False, effective_at=None
    )
    next_class(course, 2, Sam="attended")
    next_class(other, 1, Sue="attended")

    rows = cases(sequence_id=sequence.pk)

    assert {row.name: row.came for row in rows} == {"Sam": None, "Sue": None}
    assert effect(rows).sent.ahead == 2


def test_a_learner_counts_once_by_the_first_entry(sequence: Sequence) -> None:
    course = make.make_course()
    hal = make.make_contact(name="Hal")
    draw(sequence, hal, held_out=True)
    missed(course, [hal])
    next_class(course, 1, Hal="missed")
    services.tick(now=make.NOW + WEEK)
    next_class(course, 2, Hal="attended")

    (row,) = cases(sequence_id=sequence.pk)

    assert (row.title, row.came, row.held_out) == ("Week 1", False, True)


def test_the_groups_are_read_without_reading_everything(sequence: Sequence) -> None:
    """P20: a hundred learners beside 10,000 journeys of others: no large table is scanned."""
    make_runs(runs=10_000)
    few = make_runs(runs=100, slug="few-runs")
    HoldoutAssignment.objects.bulk_create(
        HoldoutAssignment(
            sequence=few, learner_id=learner, held_out=False, assigned_at=make.CLASS_STARTS
        )
        for learner in few.journeys.values_list("learner_id", flat=True)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        assert len(cases(sequence_id=few.pk)) == 99  # one of them is a test
    (query,) = queries
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN " + query["sql"])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    for table in ("user_nurture_journeys", "nurture_decision"):
        assert f"Seq Scan on {table}" not in plan, plan


def test_who_was_never_drawn_is_left_out() -> None:
    """A sequence without a holdout has nothing to compare with."""
    plain = make.make_sequence()
    missed(make.make_course(), [make.make_contact()])

    assert cases(sequence_id=plain.pk) == []
