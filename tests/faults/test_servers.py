"""PostgreSQL dies and comes back while two workers send (F4), or may not tidy up (F12)."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings as project
from django.db import connection

from config import embedded
from delivery import sender
from tests.e2e.commands import database_url
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


def test_an_old_snapshot_costs_speed_and_nothing_else(settings: Any) -> None:
    """F12: what a long report may still see cannot be cleaned away, so claims step over it."""
    settings.TELEGRAM_SENDS_PER_SECOND = 5000.0
    owed = 600 if SHORT else 20_000
    owe(owed)
    with (
        psycopg.connect(database_url()) as report,
        receiving(Receiver()) as receiver,
        forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="5000") as workers,
    ):
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM nurture_deliveries")
        assert workers.drain() == 0
    assert_kept(receiver, owed=owed, unknown=0)
    tenth = owed // 10
    first = receiver.times[tenth] - receiver.times[0]
    last = receiver.times[-1] - receiver.times[-tenth - 1]
    log.info("%s messages, the last tenth took %.1f times the first", owed, last / first)
