"""What a drain says it ended: a count per end state (send_due)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from delivery import clock, sender
from delivery.models import Attempt, Consent, Delivery
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from tests.factories.delivery import LONG_AGO, make_delivery
from tests.integration.delivery.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_ended_without_a_call_is_counted_too(receiver: Receiver) -> None:
    """Refused at the last look, expired, or left in the air by a worker that died."""
    ensure_pacing()
    make_delivery()
    Consent.objects.filter(chat=make_delivery().chat).update(granted=False)
    make_delivery(expires_at=LONG_AGO + timedelta(hours=1))
    lost = make_delivery()
    Delivery.objects.filter(pk=lost.pk).update(
        status="leased", fence=1, leased_by="7", lease_until=LONG_AGO
    )
    Delivery.objects.filter(pk=lost.pk).update(status="sending", intent_at=clock.now())
    Attempt.objects.create(delivery_id=lost.pk, fence=1, started_at=clock.now())

    assert sender.drain(gateway, until_empty=True) == {
        "sent": 1,
        "skipped": 1,
        "expired": 1,
        "unknown": 1,
    }
    assert receiver.total == 1
    assert sender.drain(gateway, until_empty=True) == {}
