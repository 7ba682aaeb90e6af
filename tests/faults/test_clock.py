"""The database's clock jumps by an hour while two workers send; the host's is wrong by a day (F8).

A schema that is looked through before pg_catalog has a clock of its own, as the sessions see it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from delivery import sender
from tests.faults.books import SHORT, assert_kept, owe, settled, states
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(900),
]  # fmt: skip
log = logging.getLogger("faults")
RATE = 100.0
STEPS = [3600, -3600] if SHORT else [3600, -3600, 60, -60, -3600, 3600, 86_400, -86_400] * 3

_CLOCK = """
CREATE SCHEMA stepped;
CREATE TABLE stepped.by (seconds int);
INSERT INTO stepped.by VALUES (0);
CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT pg_catalog.clock_timestamp() + seconds * interval ''1 s'' FROM stepped.by';
CREATE FUNCTION stepped.now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
    'SELECT stepped.clock_timestamp()';
"""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = RATE
    with receiving(Receiver(latency=0.01)) as running:
        yield running


@pytest.fixture
def stepped() -> Iterator[None]:
    """Every session from now on sees the clock that steps."""
    name = connection.ops.quote_name(str(connection.settings_dict["NAME"]))
    with connection.cursor() as cursor:
        cursor.execute(_CLOCK)
        cursor.execute(f"ALTER DATABASE {name} SET search_path = stepped, public, pg_catalog")
    connection.close()
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {name} RESET search_path")
            cursor.execute("DROP SCHEMA stepped CASCADE")
        connection.close()


def _all_is_due_since_long_ago() -> None:
    """So that it is due on both sides of the step."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET due_at = due_at - interval '9 days',"
            " run_at = run_at - interval '9 days' WHERE status = 'pending'"
        )


def step(seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stepped.by SET seconds = seconds + %s", [seconds])


@pytest.mark.usefixtures("stepped")
def test_a_step_of_the_databases_clock_costs_no_message(receiver: Receiver) -> None:
    """Leases end early, slots lie far ahead: whoever is at work goes on by the new time."""
    owed = 0
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers:
        for number, seconds in enumerate(STEPS):
            owe(150, first=1000 * number)
            owed += 150
            _all_is_due_since_long_ago()
            seen = receiver.total
            at_work = [workers.start(host_clock=86_400.0), workers.start(host_clock=-86_400.0)]
            receiver.await_count(seen + 30)
            step(seconds)
            assert [workers.wait(pid) for pid in at_work] == [0, 0]
            settled(workers)
    assert_kept(receiver, owed=owed, unknown=len(STEPS) * 2 * sender.IN_FLIGHT)
    log.info("%s steps, %s messages: %s", len(STEPS), owed, dict(states()))
