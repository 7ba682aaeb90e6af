"""What other systems stumbled over, where no other test says it by name (P01, P06, P14, P27)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import ProtectedError
from django.db.utils import IntegrityError

from attendance.models import AttendanceEvent
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Decision, Journey, SequenceVersion
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

TWO = (
    make.PLAIN
    + """\
  - key: more
    wait: {after: 2h}
    text: "And more."
"""
)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def test_a_message_that_comes_due_in_a_pause_neither_is_lost_nor_costs_the_rest() -> None:
    """Dittofeed: who reached a message in a pause was skipped and left the journey."""
    make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    journey = Journey.objects.get()

    services.pause(journey=journey, now=make.NOW)
    later = make.NOW + timedelta(hours=1)
    services.tick(now=later)
    services.resume(journey=journey, now=later)
    make.settle(Delivery.objects.get(status="pending"), at=later)
    services.tick(now=later)

    owed = Delivery.objects.get(status="pending")
    assert (owed.text, owed.due_at) == ("And more.", later + timedelta(hours=2))


@pytest.mark.parametrize("published_again", [False, True])
def test_a_version_that_a_journey_goes_by_cannot_be_deleted(published_again: bool) -> None:
    """Parcelvoy: steps were edited in place, and what hung on them vanished with them."""
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    if published_again:
        make.make_sequence(TWO, now=make.NOW)
    version = Journey.objects.get().version

    with pytest.raises((ProtectedError, IntegrityError)), transaction.atomic():
        version.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        version.steps.all().delete()

    assert SequenceVersion.objects.filter(pk=version.pk).exists()
    assert Delivery.objects.get().text.startswith("Hi Rosa")


def test_what_is_known_of_one_learner_is_not_said_to_the_next() -> None:
    """Open edX: one dictionary of values for all learners of a loop."""
    make.make_sequence()
    held = make.make_session()
    for name in ("Rosa Diaz", "", "Ana"):
        make.make_fact(contact=make.make_contact(name=name), session=held)

    services.tick(now=make.NOW)

    greeted = [text.split(",")[0] for text in Delivery.objects.values_list("text", flat=True)]
    assert sorted(greeted) == ["Hi Ana", "Hi Rosa", "Hi there"]


def test_a_day_without_a_pass_costs_nobody_a_message() -> None:
    """Open edX: who was due on a day on which nothing ran was due on no other."""
    make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW)

    services.tick(now=make.NOW + 2 * DAY)

    owed = Delivery.objects.get(status="pending")
    assert (owed.text, owed.due_at) == ("And more.", make.NOW + 2 * DAY)


def test_a_pass_that_dies_has_taken_nothing() -> None:
    """Listmonk: the checkpoint moved when a batch was fetched, not when it was done."""
    make.make_sequence()
    make.make_fact()

    with transaction.atomic():
        assert services.tick(now=make.NOW).deliveries == 1
        transaction.set_rollback(True)

    assert not AttendanceEvent.objects.filter(processed_at__isnull=False).exists()
    assert services.tick(now=make.NOW).deliveries == 1
    assert Journey.objects.count() == 1


def test_an_end_that_nobody_looked_at_is_looked_at_later() -> None:
    """RapidPro: what is seen is marked in the transaction that acts on it."""
    make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    make.settle(Delivery.objects.get(), at=make.NOW)

    with transaction.atomic():
        assert services.observe_deliveries(now=make.NOW) == 1
        transaction.set_rollback(True)

    assert services.observe_deliveries(now=make.NOW) == 1
    assert services.observe_deliveries(now=make.NOW) == 0
    assert Delivery.objects.count() == 2


def test_whoever_is_not_written_to_has_a_record_that_says_why() -> None:
    """Braze: who was held back left no trace at the step."""
    make.make_sequence(TWO.replace("steps:", "window: {opens: '09:00', closes: '10:00'}\nsteps:"))
    contact = make.make_contact()
    contact.quiet_opens, contact.quiet_closes = make.NOW.replace(hour=8).time(), make.NOW.time()
    contact.save()
    make.make_fact(contact=contact)

    services.tick(now=make.NOW)

    assert not Delivery.objects.exists()
    codes = Decision.objects.filter(step_key__in=["hello", "more"]).values_list("code", flat=True)
    assert list(codes)[:1] == ["window_never_opens"]


def test_a_journey_for_trying_out_keeps_no_learner_from_entering() -> None:
    """Iterable: tests counted as if they were real."""
    make.make_sequence()
    contact = make.make_contact()
    make.make_fact(contact=contact)
    services.tick(now=make.NOW)
    Journey.objects.update(is_test=True, entry_key="session:0", slot=1)
    make.make_fact(contact=contact)

    services.tick(now=make.NOW)

    assert Journey.objects.filter(is_test=False).count() == 1
