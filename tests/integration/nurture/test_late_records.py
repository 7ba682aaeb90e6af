"""Records that come late: before absences settle, and after somebody was told (N05)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from attendance import services as attendance
from attendance.domain.kinds import OutcomeKind
from attendance.models import AttendanceEvent, ClassSession, Learner
from config import audit
from delivery.models import Delivery
from nurture.models import Journey, StaffTask
from nurture.services import conversation, tick
from tests.factories import nurture as make
from tests.factories.classes import judge, make_class, outcome_of, stay

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosa() -> Learner:
    """Linked, and the only one besides the host."""
    contact = make.make_contact()
    make.make_sequence()
    return contact.learner


@pytest.fixture
def session(rosa: Learner) -> ClassSession:
    """A class in which nobody has seen her yet."""
    course = make.make_course()
    attendance.upsert_learner(
        email=rosa.email, name=rosa.name, calendar_ids=[course.calendar_id], now=make.NOW
    )
    return make_class(course)


def missed(rosa: Learner) -> bool:
    """Whether anybody was ever told that she missed it."""
    return AttendanceEvent.objects.filter(learner=rosa, kind="missed").exists()


def act(session: ClassSession, *, after: timedelta) -> datetime:
    """Judge the class and let the engine act on what is known then."""
    now = judge(session, after=after)
    tick(now=now)
    return now


def test_a_record_of_two_hours_fifty_turns_nobody_into_missed(
    rosa: Learner, session: ClassSession
) -> None:
    for minutes in range(0, 170, 10):
        act(session, after=timedelta(minutes=minutes))
    stay(session, email=rosa.email)

    act(session, after=timedelta(minutes=170))
    act(session, after=timedelta(minutes=200))

    assert outcome_of(rosa, session).outcome == "attended"
    assert not missed(rosa)
    assert not Journey.objects.exists()


def test_a_record_of_five_hours_withdraws_what_is_unsent(
    rosa: Learner, session: ClassSession
) -> None:
    act(session, after=timedelta(minutes=200))
    assert Delivery.objects.get().status == "pending"
    stay(session, email=rosa.email)

    act(session, after=timedelta(hours=5))

    assert outcome_of(rosa, session).outcome == "attended"
    assert (Delivery.objects.get().status, Delivery.objects.get().reason) == (
        "cancelled", "corrected",
    )  # fmt: skip
    assert Journey.objects.get().exit_reason == "corrected"
    assert not StaffTask.objects.exists()


def test_a_record_of_five_hours_after_it_was_said_is_one_false_activation(
    rosa: Learner, session: ClassSession
) -> None:
    now = act(session, after=timedelta(minutes=200))
    make.settle(Delivery.objects.get(), at=now)
    stay(session, email=rosa.email)

    act(session, after=timedelta(hours=5))
    act(session, after=timedelta(hours=6))

    assert Delivery.objects.get().status == "sent"
    assert StaffTask.objects.get().kind == "false_activation"
    assert "Sorry for the mix-up" in StaffTask.objects.get().note


def test_what_staff_find_out_after_days_ends_what_is_still_to_come(session: ClassSession) -> None:
    """A sequence may speak for a week of a class; facts begin nothing after three days."""
    later = "  - key: later\n    wait: {after: 5d}\n    text: We still miss you.\n"
    make.make_sequence(make.PLAIN + later)
    now = act(session, after=timedelta(minutes=200))
    make.settle(Delivery.objects.get(), at=now)
    tick(now=now)
    assert Delivery.objects.get(status="pending").text == "We still miss you."
    now = session.ends_at + timedelta(hours=80)

    attendance.correct_outcome(
        learner=Learner.objects.get(), session=session, outcome=OutcomeKind.ATTENDED, by="ann",
        note="I saw her.", now=now,
    )  # fmt: skip
    tick(now=now)

    assert not Delivery.objects.filter(status="pending").exists()
    assert Journey.objects.get().exit_reason == "corrected"
    assert StaffTask.objects.get().kind == "false_activation"
    assert "absence_not_taken_back" not in {one.rule for one in audit.examine()}


def test_a_button_of_what_was_taken_back_holds_nothing_that_began_since(
    rosa: Learner, session: ClassSession
) -> None:
    """Her "I was there" comes when that is known already: her thanks do not wait for staff."""
    thanks = make.PLAIN.replace("missed-class", "thanks").replace("fact: missed", "fact: attended")
    make.make_sequence(thanks)
    act(session, after=timedelta(minutes=200))
    said = Journey.objects.get()
    stay(session, email=rosa.email)
    now = act(session, after=timedelta(hours=5))
    said.refresh_from_db()
    assert said.exit_reason == "corrected"

    assert conversation.dispute(journey=said, now=now)

    assert Journey.objects.get(sequence__slug="thanks").status == "active"
