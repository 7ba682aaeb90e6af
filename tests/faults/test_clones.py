"""A copy of the database starts in staging: it sends nothing until it is armed (F14)."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from config import doctor
from delivery import clock, selectors, tasks
from delivery.services.gates import ensure_pacing
from delivery.services.installation import arm
from tests.e2e.commands import TOKEN
from tests.faults.books import assert_kept, owe, states
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(300),
]  # fmt: skip
log = logging.getLogger("faults")


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = 100.0
    settings.BOT_TOKEN = TOKEN
    settings.STAGING_ALLOWED_CHATS = None
    with receiving(Receiver()) as running:
        settings.TELEGRAM_API_URL = running.url
        yield running


def use(database: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = database


@pytest.fixture
def clone() -> Iterator[str]:
    """The name of a copy that does not exist yet; it is dropped at the end."""
    original = str(connection.settings_dict["NAME"])
    name = f"{original}_clone"
    yield name
    use("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    use(original)


def copy_to(name: str) -> None:
    """File by file, as a snapshot of the disk is."""
    original = connection.settings_dict["NAME"]
    use("postgres")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        # PostgreSQL copies nothing that somebody is connected to; a disk does not ask.
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [original],
        )
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE {original}")
    use(name)


def put(status: str, count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET status = 'leased', fence = 1, leased_by = '5',"
            " lease_until = now() + interval '60 s' WHERE id IN"
            " (SELECT id FROM nurture_deliveries WHERE status = 'pending' ORDER BY id LIMIT %s)",
            [count],
        )
        if status == "sending":
            cursor.execute(
                "WITH d AS (UPDATE nurture_deliveries SET status = 'sending', intent_at = now()"
                " WHERE status = 'leased' RETURNING id)"
                " INSERT INTO delivery_attempt (delivery_id, fence, started_at, outcome,"
                " description) SELECT id, 1, now(), '', '' FROM d"
            )


def run(*command: str) -> dict[str, Any]:
    said = io.StringIO()
    call_command(*command, "--json", stdout=said)
    found: dict[str, Any] = json.loads(said.getvalue().splitlines()[-1])
    return found


def test_a_copy_sends_nothing_until_an_operator_arms_it(
    receiver: Receiver, clone: str, settings: Any, client: Client
) -> None:
    settings.ENVIRONMENT = "production"
    assert arm(now=clock.now()) == ""
    ensure_pacing()
    owe(40)
    put("sending", 3)
    put("leased", 2)
    taken_at = clock.now()
    copy_to(clone)
    settings.ENVIRONMENT = "staging"
    later = taken_at + timedelta(seconds=1)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET due_at = %s, run_at = %s WHERE id IN"
            " (SELECT id FROM nurture_deliveries WHERE status = 'pending' ORDER BY id LIMIT 10)",
            [later, later],
        )

    with pytest.raises(CommandError, match="armed for production"):
        run("send_due", "--until-empty")
    tasks.drain_deliveries()
    assert (receiver.total, receiver.probes) == (0, 0)
    assert [gate.key for gate in selectors.blocking_gates()] == ["bot:fence"]
    assert doctor.CHECKS["installation"]().verdict == "fail"
    with pytest.raises((CommandError, SystemExit)):
        run("doctor")
    answer = client.get("/readyz").json()
    assert "post_restore" in answer["fence"]

    told = run("post_restore", "--until", taken_at.isoformat())
    assert (told["in_flight"], told["due"]) == (5, 25)
    assert states() == {"unknown": 30, "pending": 10}
    told = run("post_restore", "--until", taken_at.isoformat())
    assert (told["in_flight"], told["due"]) == (0, 0)
    assert client.get("/readyz").json()["fence"] == ""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep_until(%s)", [later])
    assert run("send_due", "--until-empty")["sent"] == 10
    assert_kept(receiver, owed=40, unknown=30)
    log.info("%s: %s", clone, dict(states()))
