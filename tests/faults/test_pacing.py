"""Four processes share one rate; the receiver refuses what is faster than Telegram allows."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection

from tests.faults.books import SHORT, assert_kept, owe
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(300),
]  # fmt: skip
log = logging.getLogger("faults")
RATE, ALLOWED, SECONDS = 25, 30, 8 if SHORT else 60
HOT = 5  # messages of one chat


def test_four_workers_keep_one_rate_and_a_hot_chat_delays_nobody(
    settings: Any,
) -> None:
    settings.TELEGRAM_SENDS_PER_SECOND = float(RATE)
    owed = RATE * SECONDS
    receiver = Receiver(latency=0.05, limit_per_second=ALLOWED)
    with (
        receiving(receiver),
        forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers,
    ):
        owe(owed)
        hot = _one_chat_has(HOT)
        at_work = [workers.start() for _ in range(4)]
        assert [workers.wait(pid) for pid in at_work] == [0] * 4
    arrived = list(zip(receiver.times, (chat for chat, _ in receiver.texts), strict=True))
    others = [moment for moment, chat in arrived if chat != hot]
    in_hot = [moment for moment, chat in arrived if chat == hot]
    rate = (len(others) - 1) / (others[-1] - others[0])
    log.info("%s messages at %.1f a second, %s refused", len(others), rate, receiver.refused)
    assert receiver.refused == 0
    assert receiver.arrived[hot] == HOT
    receiver.arrived[hot] = 1  # its own messages, one each
    assert_kept(receiver, owed=owed, unknown=0)
    assert rate >= 0.9 * RATE  # what is promised, not how fast this machine is
    assert all(later - earlier >= 1 for earlier, later in pairwise(in_hot))


def _one_chat_has(count: int) -> int:
    """Give so many of the messages to one chat; return its number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET chat_id = (SELECT min(id) FROM delivery_chat)"
            " WHERE id IN (SELECT id FROM nurture_deliveries ORDER BY id LIMIT %s)",
            [count],
        )
        cursor.execute("SELECT telegram_id FROM delivery_chat ORDER BY id LIMIT 1")
        (number,) = cursor.fetchone()
    return int(number)
