"""Who enters and who does not, and that each refusal leaves its reason (P06, P14)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.utils import IntegrityError

from delivery import services as delivery_services
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Decision, HoldoutAssignment, Journey
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def only_code() -> str:
    """The one decision there is."""
    assert not Journey.objects.exists()
    return Decision.objects.get().code


def test_nurture_off() -> None:
    """The switch answers for everybody."""
    flags.set_nurture(percent=0)
    make.make_sequence()
    make.make_fact()

    services.tick(now=make.NOW)

    assert only_code() == "nurture_off"


def test_outside_the_rollout() -> None:
    """A sticky draw decides; with a thousandth nobody of one is in."""
    make.make_sequence()
    fact = make.make_fact()
    flags.set_nurture(percent=0.1)
    if flags.in_rollout(fact.learner_id):
        pytest.skip("this learner's draw is in the first thousandth")

    services.tick(now=make.NOW)

    assert only_code() == "not_in_rollout"


def test_a_fact_that_is_too_old() -> None:
    """72 hours after the class nobody is told."""
    make.make_sequence()
    fact = make.make_fact()

    services.tick(now=fact.expires_at)

    assert only_code() == "fact_expired"


@pytest.mark.parametrize(
    ("linked", "chat", "code"),
    [
        (False, {}, "not_linked"),
        (True, {"reachability": "blocked"}, "unreachable"),
        (True, {"stopped": True}, "opted_out"),
    ],
)
def test_nobody_to_write_to(linked: bool, chat: dict[str, object], code: str) -> None:
    """Each way of not being reachable has its own word."""
    contact = make.make_contact(linked=linked)
    if contact.chat and "reachability" in chat:
        contact.chat.reachability = "blocked"
        contact.chat.save()
    if contact.chat and "stopped" in chat:
        delivery_services.set_consent(
            chat=contact.chat, category="", granted=False, source="stop", now=make.NOW
        )
    make.make_sequence()
    make.make_fact(contact=contact)

    services.tick(now=make.NOW)

    assert only_code() == code


def test_no_contact() -> None:
    """A learner may be there before anybody knows how to reach them."""
    make.make_sequence()
    fact = make.make_fact()
    Contact.objects.filter(learner=fact.learner).delete()

    services.tick(now=make.NOW)

    assert only_code() == "no_contact"


def test_another_course() -> None:
    """A trigger may ask for one calendar."""
    make.make_sequence(make.PLAIN.replace("{fact: missed}", "{fact: missed, course: other@x}"))
    make.make_fact()

    services.tick(now=make.NOW)

    assert only_code() == "wrong_course"


def test_times_two_needs_two_in_a_row() -> None:
    """Fires at exactly n."""
    make.make_sequence(make.PLAIN.replace("{fact: missed}", "{fact: missed, times: 2}"))
    contact, course = make.make_contact(), make.make_course()
    first = make.make_session(course=course, starts_at=make.CLASS_STARTS - timedelta(days=1))
    make.make_fact(contact=contact, session=first)
    services.tick(now=first.ends_at + timedelta(hours=3))
    assert only_code() == "times_not_reached"

    make.make_fact(contact=contact, session=make.make_session(course=course))
    services.tick(now=make.NOW)

    assert Journey.objects.count() == 1


@pytest.mark.parametrize("asked", ["exit_when: [attended]\n", "    when: {not: attended}\n"])
@pytest.mark.parametrize("seconds", [0, 1], ids=["in the same moment", "a second later"])
def test_who_came_to_the_class_after_is_not_told_that_they_were_missed(
    asked: str, seconds: int
) -> None:
    """Two classes were judged at once, late; the pass that hears of them comes a moment after."""
    make.make_sequence(make.PLAIN + asked)
    contact, course = make.make_contact(), make.make_course()
    after = make.make_session(course=course, starts_at=make.CLASS_STARTS + timedelta(days=1))
    judged = after.ends_at + timedelta(hours=3)
    first = make.make_session(course=course)
    make.make_fact("missed", contact=contact, session=first, recorded_at=judged)
    make.make_fact("attended", contact=contact, session=after, recorded_at=judged)

    services.tick(now=judged + timedelta(seconds=seconds))

    assert Journey.objects.get().status != "active"
    assert not Delivery.objects.filter(status="pending").exists()


def test_a_fact_nobody_asks_for_leaves_nothing() -> None:
    """Only sequences that ask for the fact answer it."""
    make.make_sequence()
    make.make_fact("attended")

    assert services.tick(now=make.NOW).facts == 1

    assert not Decision.objects.exists()


def test_a_second_class_while_the_first_is_open() -> None:
    """`open: 1`: refused, not queued."""
    make.make_sequence()
    contact = make.make_contact()
    make.make_fact(contact=contact)
    make.make_fact(contact=contact)

    services.tick(now=make.NOW)

    assert Journey.objects.count() == 1
    assert Decision.objects.filter(code="already_open").count() == 1


def test_cooling_down() -> None:
    """`again: after 7d` counts from the start of the previous journey."""
    make.make_sequence(make.PLAIN.replace("again: every key", "again: after 7d"))
    contact = make.make_contact()
    make.make_fact(contact=contact)
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW)

    services.tick(now=make.NOW)
    later = make.make_session(starts_at=make.CLASS_STARTS + timedelta(days=1))
    make.make_fact(contact=contact, session=later)
    services.tick(now=make.NOW + timedelta(days=1))

    assert Journey.objects.count() == 1
    assert Decision.objects.filter(code="cooling_down").count() == 1


def test_held_out_for_comparison() -> None:
    """Drawn once, and kept."""
    make.make_sequence(make.PLAIN.replace("entry:", "holdout: 100\nentry:"))
    make.make_fact()

    services.tick(now=make.NOW)

    assert only_code() == "held_out"
    assert HoldoutAssignment.objects.get().held_out


def test_a_stopped_sequence_says_so() -> None:
    """Stopping is a decision too."""
    make.make_sequence(make.PLAIN.replace("entry:", "mode: stopped\nentry:"))
    make.make_fact()

    services.tick(now=make.NOW)

    assert only_code() == "sequence_stopped"


def test_the_table_refuses_the_same_journey_twice() -> None:
    """What the code would miss, the constraint does not."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    journey = Journey.objects.get()
    journey.pk, journey.slot, journey.waiting_on = None, 5, None
    journey.next_action_at = make.NOW

    with pytest.raises(IntegrityError):
        journey.save(force_insert=True)
