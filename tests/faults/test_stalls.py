"""PostgreSQL can be reached and does not answer; connections die without a word (F5)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from delivery import sender
from tests.faults.books import SHORT, assert_kept, owe, settled, states
from tests.faults.cable import Cable, cable
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(1800),
]  # fmt: skip
log = logging.getLogger("faults")
RATE = 100.0
#: A statement that gets no answer is given up after so many seconds; after five to ten more,
#: in which psycopg tries to cancel it, so is its connection.
PATIENCE = 0.5 if SHORT else 10.0
LEASE = 2.0 if SHORT else 60.0
#: A worker that cannot connect for 20 s ends; somebody rings for another.
GIVES_UP = 45.0


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = RATE
    with receiving(Receiver(latency=0.01)) as running:
        yield running


@pytest.fixture
def line() -> Iterator[Cable]:
    with cable() as laid:
        yield laid


def test_a_connection_that_dies_without_a_word_is_replaced(receiver: Receiver, line: Cable) -> None:
    """Half-open: the server thinks that the worker lives, and keeps its lock."""
    losses = 1 if SHORT else 10
    waits = []
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE), DATABASE_URL=line.url) as workers:
        for number in range(losses):
            owe(150, first=1000 * number)
            seen = receiver.total
            pid = workers.start(lease=LEASE, patience=PATIENCE)
            receiver.await_count(seen + 50)
            line.lose()
            began, seen = time.monotonic(), receiver.total
            receiver.await_count(seen + sender.IN_FLIGHT + 1)  # it goes on by itself
            waits.append(time.monotonic() - began)
            assert workers.wait(pid) == 0
        settled(workers, lease=LEASE)
    assert_kept(receiver, owed=150 * losses, unknown=losses * sender.IN_FLIGHT)
    assert max(waits) < 30
    log.info("%s lost, on again after %.1f s at most: %s", losses, max(waits), dict(states()))


def test_a_database_that_does_not_answer_is_waited_for(receiver: Receiver, line: Cable) -> None:
    """Held for a moment, or for so long that the worker gives up; another begins later."""
    stalls = [PATIENCE / 2] if SHORT else [2.0, 5.0, 8.0, 12.0, 20.0, 60.0, 120.0]
    lived = 0
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE), DATABASE_URL=line.url) as workers:
        for number, seconds in enumerate(stalls):
            owe(150, first=1000 * number)
            seen = receiver.total
            pid = workers.start(lease=LEASE, patience=PATIENCE)
            receiver.await_count(seen + 50)
            line.hold()
            time.sleep(seconds)  # that is the fault
            if seconds > GIVES_UP:
                assert workers.wait(pid) == 1  # it has ended long ago
                line.let_go()
            else:
                line.let_go()
                lived += workers.wait(pid) == 0
            settled(workers, lease=LEASE)
    assert_kept(receiver, owed=150 * len(stalls), unknown=len(stalls) * sender.IN_FLIGHT)
    log.info("held for %s s, %s lived through it: %s", stalls, lived, dict(states()))
