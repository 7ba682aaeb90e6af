"""Redis forgets everything, is away, comes back, while three clocks ring one worker (F6, F9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis
from django.conf import settings as project

from config import embedded
from delivery import tasks
from tests.e2e.commands import environment, running, stop_redis, telegram_at
from tests.faults.books import SHORT, assert_kept, owe, states
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(600),
    pytest.mark.skipif(
        not project.USES_EMBEDDED_SERVERS, reason="only our own server may be killed"
    ),
]  # fmt: skip
log = logging.getLogger("faults")
ROUNDS = 5 if SHORT else 30
LOT = 20


@pytest.fixture
def books(settings: Any) -> Iterator[Books]:
    settings.TELEGRAM_SENDS_PER_SECOND = 200.0
    with receiving(Receiver(latency=0.01)) as receiver:
        try:
            yield Books(receiver)
        finally:
            embedded.ensure(Path(project.LOCAL_DIR))


class Books:
    """What is owed so far, and how long the first of each lot took to arrive."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.owed = receiver, 0

    def reaction(self, *, ring: bool) -> float:
        """Owe some more; seconds until they begin to arrive, then wait for all of them."""
        owe(LOT, first=self.owed)
        began = time.monotonic()
        if ring:
            tasks.ring()
        self.receiver.await_count(self.owed + 1)
        took = time.monotonic() - began
        self.owed += LOT
        self.receiver.await_count(self.owed)
        return took


def test_redis_is_only_the_doorbell(books: Books) -> None:
    url = books.receiver.url
    env = environment(
        **telegram_at(url, TELEGRAM_SENDS_PER_SECOND="200", REDIS_URL=project.REDIS_URL)
    )
    server = redis.Redis.from_url(project.REDIS_URL)
    with ExitStack() as stack:
        stack.enter_context(running("rundramatiq", "--processes", "1", "--threads", "2", env=env))
        for _ in range(3):
            stack.enter_context(running("runclock", env=env))
        books.reaction(ring=True)  # they start up
        told: dict[str, list[float]] = {"up": [], "flushed": [], "away": [], "back": []}
        for _ in range(ROUNDS):
            told["up"].append(books.reaction(ring=True))
        for _ in range(ROUNDS):
            server.flushall()
            told["flushed"].append(books.reaction(ring=False))
        stop_redis()
        for _ in range(ROUNDS):
            told["away"].append(books.reaction(ring=True))
        embedded.ensure(Path(project.LOCAL_DIR))
        for _ in range(ROUNDS):
            told["back"].append(books.reaction(ring=True))
    for name, seconds in told.items():
        p95 = sorted(seconds)[int(0.95 * len(seconds))]
        log.info("Redis %s: first message after %.2f s (p95 of %s)", name, p95, len(seconds))
    with forks(url, TELEGRAM_SENDS_PER_SECOND="200") as workers:
        assert workers.drain() == 0
    assert_kept(books.receiver, owed=books.owed, unknown=0)
    log.info("%s messages: %s", books.owed, dict(states()))
