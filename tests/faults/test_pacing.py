"""Four processes share one rate; the receiver refuses what is faster than Telegram allows.

How much of the rate they keep is measured by `make bench-delivery`.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Any

import pytest

from tests.faults.books import SHORT, assert_kept, one_chat_has, owe
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(300),
]  # fmt: skip
log = logging.getLogger("faults")
RATE, ALLOWED, SECONDS = 25, 30, 8 if SHORT else 60
HOT = 5  # messages of one chat


def test_four_workers_are_never_refused_and_a_hot_chat_gets_one_a_second(settings: Any) -> None:
    settings.TELEGRAM_SENDS_PER_SECOND = float(RATE)
    owed = RATE * SECONDS
    receiver = Receiver(latency=0.05, limit_per_second=ALLOWED)
    with (
        receiving(receiver),
        forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers,
    ):
        owe(owed)
        hot = one_chat_has(HOT)
        at_work = [workers.start() for _ in range(4)]
        assert [workers.wait(pid) for pid in at_work] == [0] * 4
    arrived = list(zip(receiver.times, (chat for chat, _ in receiver.texts), strict=True))
    in_hot = [moment for moment, chat in arrived if chat == hot]
    log.info("%s messages, %s refused", receiver.total, receiver.refused)
    assert receiver.refused == 0
    assert receiver.arrived[hot] == HOT
    receiver.arrived[hot] = 1  # its own messages, one each
    assert_kept(receiver, owed=owed, unknown=0)
    # They left a second apart; one may have been longer under way than the next.
    assert all(later - earlier >= 0.95 for earlier, later in pairwise(in_hot))
