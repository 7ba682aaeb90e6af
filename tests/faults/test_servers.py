"""PostgreSQL dies and comes back while two workers send (F4)."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.db import connection

from config import embedded
from delivery import sender
from tests.faults.books import SHORT, assert_kept, owe, states
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(1800),
]  # fmt: skip
log = logging.getLogger("faults")


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = 200.0
    with receiving(Receiver(latency=0.01)) as running:
        yield running


def crash_postgres() -> None:
    """Immediate shutdown, as by a crash: no goodbye to anybody; then it starts again."""
    connection.close()
    where = embedded.locate(Path(project.LOCAL_DIR))
    postmaster = int((where.local / "pg" / "postmaster.pid").read_text().split()[0])
    os.kill(postmaster, signal.SIGQUIT)
    embedded._await(
        lambda: not embedded._is_alive(postmaster, "postgres"), seconds=60, what="its end"
    )
    embedded.ensure(Path(project.LOCAL_DIR))


def cut_every_connection() -> None:
    """As a failover of the pooler does."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'telbot-sender'"
        )


@pytest.mark.skipif(not project.USES_EMBEDDED_SERVERS, reason="only our own server may be killed")
def test_a_crash_of_postgresql_loses_and_repeats_nothing(receiver: Receiver) -> None:
    crashes = 2 if SHORT else 20
    owed = 300 * crashes
    owe(owed)
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="200") as workers:
        at_work = [workers.start(), workers.start()]
        for number in range(1, crashes + 1):
            receiver.await_count(number * 200)
            crash_postgres()
        assert [workers.wait(pid) for pid in at_work] == [0, 0]  # they live through it
        assert workers.drain() == 0
    assert_kept(receiver, owed=owed, unknown=crashes * 2 * sender.IN_FLIGHT)
    log.info("%s crashes, %s messages: %s", crashes, owed, dict(states()))


def test_cut_connections_lose_and_repeat_nothing(receiver: Receiver) -> None:
    cuts = 5 if SHORT else 200
    owed = 40 * cuts + 100
    owe(owed)
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="200") as workers:
        at_work = [workers.start(), workers.start()]
        for number in range(1, cuts + 1):
            receiver.await_count(number * 30)
            cut_every_connection()
        assert [workers.wait(pid) for pid in at_work] == [0, 0]
        assert workers.drain() == 0
    assert_kept(receiver, owed=owed, unknown=cuts * 2 * sender.IN_FLIGHT)
    log.info("%s cuts, %s messages: %s", cuts, owed, dict(states()))
