"""What nurture learns later: corrections, exits, pauses, answers, moved classes (P05, S07)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attendance.models import Learner, Outcome, Pledge
from delivery import services as delivery_services
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Decision, Journey, StaffTask
from nurture.services import outlook
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

LATER = make.NOW + timedelta(hours=1)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def contact_of(learner: Learner) -> Contact:
    """The contact of a learner."""
    return Contact.objects.get(learner=learner)


def correct(journey: Journey) -> None:
    """Attendance takes back what it said."""
    assert journey.session is not None
    make.make_fact(
        "corrected",
        contact=contact_of(journey.learner),
        session=journey.session,
        recorded_at=LATER,
    )


def test_a_correction_withdraws_what_is_not_sent() -> None:
    """One pass; nothing was said, so nobody need apologise."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    correct(Journey.objects.get())

    services.tick(now=LATER)

    journey, delivery = Journey.objects.get(), Delivery.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "corrected")
    assert (delivery.status, delivery.reason) == ("cancelled", "corrected")
    assert not StaffTask.objects.exists()


@pytest.mark.parametrize(("before", "status"), [("attended", "exited"), ("missed", "active")])
def test_two_in_a_row_fall_with_the_first_of_them(before: str, status: str) -> None:
    """Two classes missed are told of in the morning; then the first of them is corrected.

    Where it is as it was, after a second look, nothing is withdrawn.
    """
    words = "{{ streak }} classes in a row"
    two = make.PLAIN.replace("{fact: missed}", "{fact: missed, times: 2}")
    make.make_sequence(two.replace("we missed you in {{ session_title }}", words) + make.WINDOW)
    contact, course = make.make_contact(), make.make_course()
    yesterday = make.CLASS_STARTS - timedelta(days=1)
    first = make.make_session(course=course, starts_at=yesterday)
    make.make_fact(contact=contact, session=first)
    make.make_fact(contact=contact, session=make.make_session(course=course), streak=2)
    services.tick(now=make.NOW)
    assert Delivery.objects.get().text == "Hi Rosa, 2 classes in a row."

    Outcome.objects.filter(session=first).update(outcome=before)
    make.make_fact("corrected", contact=contact, session=first, recorded_at=LATER)
    services.tick(now=LATER)

    assert Journey.objects.get().status == status
    assert Delivery.objects.get().status == ("cancelled" if status == "exited" else "pending")


def test_who_was_told_of_two_in_a_row_missed_the_second_all_the_same() -> None:
    """Staff are told which class was corrected, and /why does not take back the other one."""
    two = make.PLAIN.replace("{fact: missed}", "{fact: missed, times: 2}")
    make.make_sequence(two + '  - {key: last, wait: {after: 2d}, text: "Well?"}\n')
    contact, course = make.make_contact(), make.make_course()
    yesterday = make.CLASS_STARTS - timedelta(days=1)
    first = make.make_session(course=course, starts_at=yesterday, title="Lesson 3")
    make.make_fact(contact=contact, session=first)
    make.make_fact(contact=contact, session=make.make_session(course=course), streak=2)
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW)
    services.tick(now=make.NOW)

    Outcome.objects.filter(session=first).update(outcome="attended")
    make.make_fact("corrected", contact=contact, session=first, recorded_at=LATER)
    services.tick(now=LATER)

    note = StaffTask.objects.get().note
    assert 'The class "Lesson 3" was corrected' in note
    assert "our last message about Lesson 4 was wrong" in note
    assert contact.chat
    why = outlook.why_last(contact=contact, chat=contact.chat)
    assert why
    assert (why.session.title, why.taken_back) == ("Lesson 4", False)


@pytest.mark.parametrize(("status", "reason"), [("sent", ""), ("unknown", "no_answer")])
def test_a_correction_after_the_message_asks_staff_once(status: str, reason: str) -> None:
    """A false activation: seen by staff with an apology to send; a second flip changes nothing."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW, status=status, reason=reason)
    services.tick(now=make.NOW)
    journey = Journey.objects.get()
    assert journey.status == "completed"

    correct(journey)
    services.tick(now=LATER)
    correct(journey)
    services.tick(now=LATER)

    task = StaffTask.objects.get()
    assert (task.kind, task.journey) == ("false_activation", journey)
    assert "Hi Rosa, our last message about Lesson 4 was wrong" in task.note
    assert Delivery.objects.count() == 1


def test_what_staff_send_again_falls_with_its_fact() -> None:
    """Its journey is over and waits on nothing; it would have gone out in the morning all the same.

    Since the first copy may have arrived, staff are asked to apologise.
    """
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    row = Delivery.objects.get()
    make.settle(row, at=make.NOW, status="unknown", reason="no_answer")
    row.tries.create(fence=1, started_at=make.NOW, finished_at=make.NOW, outcome="unknown")
    services.tick(now=make.NOW)
    assert delivery_services.send_again(delivery_ids=[row.pk], now=make.NOW)

    correct(Journey.objects.get())
    services.tick(now=LATER)

    row.refresh_from_db()
    assert (row.status, row.reason) == ("cancelled", "corrected")
    assert StaffTask.objects.get().kind == "false_activation"


def test_what_staff_take_back_falls_with_its_fact() -> None:
    """They withdrew it, its journey went on, and then they let it go out after all."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    row = Delivery.objects.get()
    delivery_services.withdraw(delivery_ids=[row.pk])
    services.tick(now=make.NOW)
    before = row.due_at - timedelta(minutes=1)
    assert delivery_services.take_back(delivery_ids=[row.pk], now=before) == 1

    correct(Journey.objects.get())
    services.tick(now=LATER)

    row.refresh_from_db()
    assert (row.status, row.reason) == ("cancelled", "corrected")
    assert not StaffTask.objects.exists()


def test_what_staff_take_back_and_is_on_the_wire_by_then_is_told_to_staff() -> None:
    """That it was withdrawn was taken note of; so is how it ends after all."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    row = Delivery.objects.get()
    delivery_services.withdraw(delivery_ids=[row.pk])
    services.tick(now=make.NOW)
    delivery_services.take_back(delivery_ids=[row.pk], now=row.due_at - timedelta(minutes=1))
    rows = Delivery.objects.all()
    rows.update(status="leased", lease_until=LATER)
    rows.update(status="sending", intent_at=make.NOW)
    correct(Journey.objects.get())
    services.tick(now=LATER)

    rows.update(status="sent", sent_at=LATER, settled_at=LATER, lease_until=None, message_id=1)
    services.tick(now=LATER)

    assert StaffTask.objects.get().kind == "false_activation"


def test_what_staff_send_again_while_its_journey_is_held_lets_it_go_on() -> None:
    """The journey was held when the first try ended, and goes on before the second one does."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    row = Delivery.objects.get()
    rows = Delivery.objects.all()
    rows.update(status="leased", fence=1, lease_until=LATER)
    rows.update(status="sending", intent_at=make.NOW)
    rows.update(status="unknown", reason="no_answer", lease_until=None)
    services.pause(journey=Journey.objects.get(), now=make.NOW)
    rows.update(settled_at=make.NOW)  # its quarantine is over
    services.tick(now=make.NOW)
    assert delivery_services.send_again(delivery_ids=[row.pk], now=make.NOW)
    services.resume(journey=Journey.objects.get(), now=make.NOW)

    rows.update(status="leased", fence=9, lease_until=LATER)
    rows.update(status="sending", intent_at=LATER)
    rows.update(status="sent", sent_at=LATER, settled_at=LATER, lease_until=None, message_id=1)
    services.tick(now=LATER)

    assert Journey.objects.get().status == "completed"


def test_a_message_on_the_wire_while_its_fact_falls_is_told_to_staff_later() -> None:
    """It could not be stopped any more."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    rows = Delivery.objects.all()
    rows.update(status="leased", fence=1, lease_until=LATER)
    rows.update(status="sending", intent_at=make.NOW)
    correct(Journey.objects.get())
    services.tick(now=LATER)
    assert not StaffTask.objects.exists()

    rows.update(status="sent", sent_at=LATER, settled_at=LATER, lease_until=None, message_id=1)
    services.tick(now=LATER)

    assert StaffTask.objects.get().kind == "false_activation"
    assert Journey.objects.get().exit_reason == "corrected"


def test_a_later_class_attended_ends_the_journey() -> None:
    """`exit_when` asks for facts after entry."""
    make.make_sequence(make.PLAIN.replace("steps:", "exit_when: [attended]\nsteps:"))
    fact = make.make_fact()
    services.tick(now=make.NOW)
    contact = contact_of(Journey.objects.get().learner)
    older = make.make_session(
        course=fact.session.course, starts_at=make.CLASS_STARTS - timedelta(days=1)
    )
    make.make_fact("attended", contact=contact, session=older, recorded_at=LATER)
    services.tick(now=LATER)
    assert Journey.objects.get().status == "active"

    tomorrow = make.make_session(
        course=fact.session.course, starts_at=make.CLASS_STARTS + timedelta(days=1)
    )
    make.make_fact("attended", contact=contact, session=tomorrow)
    services.tick(now=make.NOW + timedelta(days=1))

    journey = Journey.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "exit_fact")
    assert Delivery.objects.get().reason == "journey_exited"


def test_stop_ends_the_journey_through_its_cancelled_message() -> None:
    """Consent withdrawn anywhere cancels; nurture takes note in its next pass."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    delivery = Delivery.objects.get()

    delivery_services.set_consent(
        chat=delivery.chat, category="", granted=False, source="stop", now=make.NOW
    )
    services.tick(now=LATER)

    journey = Journey.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "opted_out")


def test_pause_withdraws_and_resume_plans_again() -> None:
    """Held by staff, then on from the same step."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    journey = Journey.objects.get()

    assert services.pause(journey=journey, now=make.NOW)
    assert not services.pause(journey=journey, now=make.NOW)
    services.tick(now=LATER)
    assert Delivery.objects.get().status == "cancelled"
    assert services.resume(journey=journey, now=LATER)
    assert not services.resume(journey=journey, now=LATER)

    journey.refresh_from_db()
    assert journey.status == "active"
    assert journey.waiting_on is not None
    assert (journey.waiting_on.status, journey.step_key) == ("pending", "hello")


REMINDER = """\
sequence: reminder
name: Reminder
entry: {key: session}
triggers:
  - {fact: missed}
steps:
  - key: reminder
    wait: {before_next_session: 2h}
    when: {not: pledged_next}
    text: "{{ next_session_title }} starts at {{ next_session_time }}."
"""


def test_an_answer_withdraws_the_question() -> None:
    """Who has said yes is not asked again (docs/decisions/0002)."""
    make.make_sequence(REMINDER)
    fact = make.make_fact()
    following = make.make_session(
        course=fact.session.course,
        starts_at=make.CLASS_STARTS + timedelta(days=2),
        title="Lesson 5",
    )
    services.tick(now=make.NOW)
    delivery = Delivery.objects.get()
    assert delivery.due_at == following.starts_at - timedelta(hours=2)
    assert delivery.text == "Lesson 5 starts at 17:00."

    Pledge.objects.create(learner=fact.learner, session=following, state="yes", answered_at=LATER)
    moved = services.answered_pledge(learner=fact.learner, session=following, now=LATER)

    delivery.refresh_from_db()
    assert moved == 1
    assert (delivery.status, delivery.reason) == ("cancelled", "condition_changed")
    assert Journey.objects.get().status == "completed"
    assert "condition_false" in Decision.objects.values_list("code", flat=True)


def test_a_moved_class_moves_its_reminder_with_a_new_text() -> None:
    """The old text named the old time."""
    make.make_sequence(REMINDER)
    fact = make.make_fact()
    following = make.make_session(
        course=fact.session.course, starts_at=make.CLASS_STARTS + timedelta(days=2)
    )
    services.tick(now=make.NOW)
    following.starts_at += timedelta(hours=1)
    following.ends_at += timedelta(hours=1)
    following.save()
    make.make_fact(
        "session_moved",
        contact=contact_of(fact.learner),
        session=following,
        recorded_at=LATER,
        expires_at=following.ends_at,
    )

    services.tick(now=LATER)

    old, new = Delivery.objects.order_by("id")
    assert old.status == "cancelled"
    assert (new.due_at, new.text) == (
        following.starts_at - timedelta(hours=2), "Lesson 4 starts at 18:00.",
    )  # fmt: skip
    assert Journey.objects.get().waiting_on == new


def test_a_class_that_moves_by_two_days_takes_two_hundred_reminders_along() -> None:
    """P07: all shift in one pass, none is doubled, none is left at the old time."""
    make.make_sequence(REMINDER)
    course = make.make_course()
    missed = make.make_session(course=course)
    following = make.make_session(course=course, starts_at=make.CLASS_STARTS + timedelta(days=3))
    contacts = [make.make_contact() for _ in range(200)]
    for contact in contacts:
        make.make_fact(contact=contact, session=missed)
    services.tick(now=make.NOW)
    assert Delivery.objects.filter(status="pending").count() == 200

    following.starts_at += timedelta(days=2)
    following.ends_at += timedelta(days=2)
    following.save()
    for contact in contacts:
        make.make_fact(
            "session_moved", contact=contact, session=following, recorded_at=LATER,
            expires_at=following.ends_at,
        )  # fmt: skip
    services.tick(now=LATER)

    pending = Delivery.objects.filter(status="pending")
    assert set(pending.values_list("due_at", flat=True)) == {
        following.starts_at - timedelta(hours=2)
    }
    assert pending.values("chat").distinct().count() == pending.count() == 200
    assert Delivery.objects.filter(status="cancelled", reason="withdrawn").count() == 200
