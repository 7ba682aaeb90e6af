"""No slot is left unused, and none is waited for that lies in another time."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from delivery import clock, sender, services
from delivery.ledger import Ledger
from delivery.models import Attempt, Chat, Delivery, Gate
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from tests.factories.delivery import make_chat, make_delivery
from tests.integration.delivery.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_who_ends_leaves_no_slot_unused(receiver: Receiver, settings: Any) -> None:
    """P16: else each change from one drain to the next would cost a second of everybody's rate."""
    settings.TELEGRAM_SENDS_PER_SECOND = 25.0
    ensure_pacing()
    for _ in range(100):
        make_delivery()

    def somebody_asks_meanwhile() -> None:
        receiver.await_count(15)  # the budget is used by then
        make_delivery(chat=make_chat(), lane=0, text="a reply")
        connection.close()

    asking = threading.Thread(target=somebody_asks_meanwhile)
    asking.start()
    sent = sender.drain(gateway, budget_seconds=0.3)["sent"]
    asking.join()

    assert 15 < sent < 100
    assert "a reply" in [text for _, text in receiver.texts]
    assert not Delivery.objects.exclude(status__in=["sent", "pending"]).exists()
    last = Attempt.objects.latest("started_at").started_at
    assert Gate.objects.get(key="bot").next_slot_at - last < timedelta(seconds=0.5)


@pytest.mark.parametrize(("rate", "after"), [(25.0, 20.0), (6.0, 5.0), (2.0, 2.0)])
def test_a_429_lowers_the_rate_as_it_is_and_not_as_a_worker_remembers_it(
    rate: float, after: float
) -> None:
    """P16: one that has sent only replies so far knows no rate; at 0 nobody could send any more."""
    ensure_pacing()
    Gate.objects.filter(key="bot").update(rate=rate)

    async def hold() -> None:
        ledger = Ledger()
        await ledger.open()
        await ledger.hold_bot(wait=timedelta(seconds=1))
        await ledger.hold_bot(wait=timedelta(seconds=1))  # once per closing
        await ledger.close()

    asyncio.run(hold())

    assert Gate.objects.get(key="bot").rate == after


def test_a_clock_that_was_put_back_holds_nobody_up(receiver: Receiver) -> None:
    """F8: slots, chats and what pacing put off lie an hour ahead; who asked for quiet has it."""
    ensure_pacing()
    put_off, snoozed = make_delivery(), make_delivery()
    hour = clock.now() + timedelta(hours=1)
    services.snooze(chat=snoozed.chat, until=hour)
    Gate.objects.filter(key="bot").update(next_slot_at=hour)
    Chat.objects.update(next_slot_at=hour)
    Delivery.objects.update(run_at=hour)

    assert sender.drain(gateway, until_empty=True) == {"sent": 1}

    put_off.refresh_from_db()
    snoozed.refresh_from_db()
    assert (put_off.status, snoozed.status, snoozed.run_at) == ("sent", "pending", hour)
