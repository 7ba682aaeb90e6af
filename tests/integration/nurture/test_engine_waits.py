"""Journeys that wait without a message: for a time, for an event, for a switch (P07, P08)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from delivery.models import Delivery
from nurture import flags, services, tasks
from nurture.models import Contact, ContactTag, Decision, Journey, StaffTask
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

HEAD = make.PLAIN[: make.PLAIN.index("steps:")]
UNTIL = (
    HEAD
    + """\
steps:
  - {key: pause, kind: wait, wait: {until_event: attended, or_after: 2d}}
  - key: after
    wait: {after: 1h}
    text: "Well?"
"""
)
ERRANDS = (
    HEAD
    + """\
steps:
  - {key: mark, kind: tag, add: missed-once}
  - {key: ask, kind: handover, to: teacher, note: Please call.}
  - {key: fork, kind: branch, when: "tag:vip", then: special, else: plain}
  - {key: special, text: "For you alone."}
  - {key: plain, text: "For all."}
"""
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def test_a_wait_ends_when_its_event_comes() -> None:
    """The next step counts from that moment."""
    make.make_sequence(UNTIL)
    fact = make.make_fact()
    services.tick(now=make.NOW)
    journey = Journey.objects.get()
    assert journey.next_action_at == make.NOW + timedelta(days=2)
    assert not services.has_work(now=make.NOW + timedelta(days=1))

    tomorrow = make.make_session(
        course=fact.session.course, starts_at=make.CLASS_STARTS + timedelta(days=1)
    )
    contact = Contact.objects.get(learner=fact.learner)
    make.make_fact("attended", contact=contact, session=tomorrow)
    came = make.NOW + timedelta(days=1)
    services.tick(now=came)

    assert Delivery.objects.get().due_at == came + timedelta(hours=1)


def test_a_wait_whose_event_comes_while_nurture_is_off_ends_when_it_is_on_again() -> None:
    """Off means that nothing new is said; what happened meanwhile is not forgotten."""
    make.make_sequence(UNTIL)
    fact = make.make_fact()
    services.tick(now=make.NOW)
    tomorrow = make.make_session(
        course=fact.session.course, starts_at=make.CLASS_STARTS + timedelta(days=1)
    )
    contact = Contact.objects.get(learner=fact.learner)
    make.make_fact("attended", contact=contact, session=tomorrow)

    flags.set_nurture(percent=0)
    came = make.NOW + timedelta(days=1)
    services.tick(now=came)
    assert not Delivery.objects.exists()

    flags.set_nurture(percent=100)
    again = came + timedelta(hours=1)
    services.tick(now=again)
    assert Delivery.objects.get().due_at == again + timedelta(hours=1)


def test_a_wait_ends_when_its_time_is_up() -> None:
    """The event did not come."""
    make.make_sequence(UNTIL)
    make.make_fact()
    services.tick(now=make.NOW)
    end = make.NOW + timedelta(days=2)

    assert services.has_work(now=end)
    services.tick(now=end)

    assert Delivery.objects.get().due_at == end + timedelta(hours=1)
    assert not services.has_work(now=end)


def test_steps_without_a_message_do_their_errand_once() -> None:
    """Tags, tasks for people and branches on the way to the first message."""
    make.make_sequence(ERRANDS)
    make.make_fact()

    services.tick(now=make.NOW)
    services.tick(now=make.NOW)

    assert ContactTag.objects.get().name == "missed-once"
    assert StaffTask.objects.get().note == "teacher: Please call."
    assert Delivery.objects.get().text == "For all."
    assert list(Decision.objects.order_by("id").values_list("code", flat=True)) == [
        "entered", "tagged", "handed_over", "branch_taken", "step_planned",
    ]  # fmt: skip


def test_while_nurture_is_off_journeys_stand_still() -> None:
    """They go on where they were when it is put on again."""
    make.make_sequence(UNTIL)
    make.make_fact()
    services.tick(now=make.NOW)
    flags.set_nurture(percent=0)
    end = make.NOW + timedelta(days=2)

    services.tick(now=end)
    assert not Delivery.objects.exists()
    assert not services.has_work(now=end)

    flags.set_nurture(percent=100)
    services.tick(now=end)
    assert Delivery.objects.exists()


def test_a_journey_that_breaks_is_held_until_somebody_has_looked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not tried each second; when it is mended it goes on."""
    make.make_sequence(UNTIL)
    make.make_fact()
    services.tick(now=make.NOW)
    end = make.NOW + timedelta(days=2)

    def failing(**_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr("nurture.services.engine.plan_next", failing)
        services.tick(now=end)
    journey = Journey.objects.get()
    assert (journey.status, StaffTask.objects.get().journey) == ("paused", journey)
    assert not services.has_work(now=end)

    services.resume(journey=journey, now=end)

    assert Journey.objects.get().status == "active"
    assert Decision.objects.filter(code="engine_error").count() == 1


def test_the_bell_makes_a_pass() -> None:
    """The actor is nothing but a pass at the database's present time."""
    make.make_sequence()
    fact = make.make_fact()

    tasks.tick()

    assert Decision.objects.get().code == "fact_expired"
    fact.refresh_from_db()
    assert fact.processed_at is not None


def test_a_wait_before_a_class_that_nobody_heeded_in_time_is_for_the_next_one() -> None:
    """While nurture was off the class began; what speaks of the next one is not said two days
    before it."""
    steps = """steps:
  - {key: draw, kind: split, wait: {before_next_session: 2h}, arms: {hello: 1}}
  - {key: hello, text: "{{ next_session_title }} begins at {{ next_session_time }}."}
"""
    make.make_sequence(HEAD + steps)
    course = make.make_fact().session.course
    for days in (1, 3):
        starts_at = make.NOW + timedelta(days=days)
        make.make_session(course=course, starts_at=starts_at, status="scheduled")
    services.tick(now=make.NOW)
    flags.set_nurture(percent=0)
    services.tick(now=make.NOW + timedelta(hours=23))

    flags.set_nurture(percent=100)
    services.tick(now=make.NOW + timedelta(hours=25))
    assert not Delivery.objects.exists()

    services.tick(now=make.NOW + timedelta(hours=70))
    assert Delivery.objects.get().text == "Lesson 4 begins at 21:00."
