"""A reminder whose moment has come waits for its hours: nothing done meanwhile loses it (P12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from delivery.models import Delivery
from nurture import flags, services
from nurture.domain.catching_up import Policy
from nurture.domain.sequence import InFlight
from nurture.models import Journey, Sequence
from nurture.services import holding, sequences
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

#: Two hours before a class at ten is eight, an hour before the window opens.
SOURCE = make.PLAIN.replace("steps:", make.WINDOW + "steps:").replace(
    "    text:", "    wait: {before_next_session: 2h, if_past: skip}\n    text:"
)
OPENS, STARTS = datetime(2026, 3, 4, 9, tzinfo=UTC), datetime(2026, 3, 4, 10, tzinfo=UTC)
BETWEEN = OPENS - timedelta(minutes=30)


@pytest.fixture
def sequence() -> Sequence:
    """Rosa's reminder waits for the window."""
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)
    found, fact = make.make_sequence(SOURCE), make.make_fact()
    make.make_session(course=fact.session.course, starts_at=STARTS, status="scheduled")
    services.tick(now=make.NOW)
    assert Delivery.objects.get().due_at == OPENS
    return found


def owed() -> list[datetime]:
    """When what is owed is due."""
    return list(Delivery.objects.filter(status="pending").values_list("due_at", flat=True))


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("held_for", [10, 100], ids=["from half past eight", "from seven"])
def test_a_pause_that_ends_before_its_hours_loses_nothing(
    sequence: Sequence, policy: Policy, held_for: int
) -> None:
    journey, until = Journey.objects.get(), BETWEEN + timedelta(minutes=10)
    holding.pause(journey=journey, now=until - timedelta(minutes=held_for))

    holding.resume(journey=journey, policy=policy, now=until)

    assert owed() == [OPENS]


@pytest.mark.parametrize("policy", list(Policy))
def test_behind_a_gate_it_is_of_use_until_the_class_begins(
    sequence: Sequence, policy: Policy
) -> None:
    now = OPENS + timedelta(minutes=10)

    holding.release_stream(journeys=Journey.objects.all(), policy=policy, now=now)

    due = {Policy.LATEST: [now], Policy.SHIFT: [OPENS], Policy.KEEP: []}
    assert owed() == due[policy]


def test_a_new_version_says_it_in_its_own_words(sequence: Sequence) -> None:
    sequences.import_sequence(source=SOURCE.replace("we missed", "I missed"), now=BETWEEN)
    sequence.refresh_from_db()

    sequences.publish(sequence=sequence, now=BETWEEN, in_flight=InFlight.MOVE)

    assert owed() == [OPENS]
    assert "I missed you" in Delivery.objects.get(status="pending").text
