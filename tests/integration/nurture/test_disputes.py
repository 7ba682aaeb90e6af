"""I was there: the journey waits, a person looks, and it ends or goes on (N05, P18)."""

from __future__ import annotations

import pytest

from attendance.models import ReviewItem
from attendance.services import review
from nurture import services
from nurture.models import Journey
from nurture.services import conversation, tick
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def journey() -> Journey:
    """Rosa is in a sequence after a class she missed, and says that she was there."""
    contact, held = make.make_contact(), make.make_session()
    make.make_sequence()
    make.make_fact(contact=contact, session=held)
    tick(now=make.NOW)
    found = Journey.objects.get()
    assert conversation.dispute(journey=found, now=make.NOW)
    found.refresh_from_db()
    assert found.status == "paused"
    return found


@pytest.mark.parametrize("answer", ["leave", "missed"])
def test_what_a_person_finds_right_lets_the_journey_go_on(journey: Journey, answer: str) -> None:
    review.decide(item=ReviewItem.objects.get(), choice=answer, by="ann", now=make.NOW)

    tick(now=make.NOW)

    journey.refresh_from_db()
    assert journey.status == "active"
    assert tick(now=make.NOW).facts == 0


def test_what_a_person_finds_wrong_ends_it(journey: Journey) -> None:
    review.decide(item=ReviewItem.objects.get(), choice="attended", by="ann", now=make.NOW)

    tick(now=make.NOW)

    journey.refresh_from_db()
    assert (journey.status, journey.exit_reason) == ("exited", "corrected")


def test_what_staff_hold_besides_stays_held(journey: Journey) -> None:
    services.resume(journey=journey, now=make.NOW)
    services.pause(journey=journey, now=make.NOW)
    review.decide(item=ReviewItem.objects.get(), choice="leave", by="ann", now=make.NOW)

    tick(now=make.NOW)

    journey.refresh_from_db()
    assert journey.status == "paused"


def test_another_sequence_that_speaks_of_the_class_waits_as_well() -> None:
    """Else she reads that she was missed after she has said that she was there."""
    contact, held = make.make_contact(), make.make_session()
    make.make_sequence()
    make.make_sequence(make.PLAIN.replace("missed-class", "other"))
    make.make_fact(contact=contact, session=held)
    tick(now=make.NOW)
    of_class = Journey.objects.order_by("pk")
    assert of_class.count() == 2

    assert conversation.dispute(journey=of_class[0], now=make.NOW)

    assert set(of_class.values_list("status", flat=True)) == {"paused"}
    review.decide(item=ReviewItem.objects.get(), choice="leave", by="ann", now=make.NOW)
    tick(now=make.NOW)
    assert set(of_class.values_list("status", flat=True)) == {"active"}
