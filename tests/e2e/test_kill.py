"""kill -9 of the sender in mid-sending: nothing lost, nothing twice (P15, promises 1-3)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from django.db.models import Count

from delivery import sender, tasks
from delivery.models import Attempt, Delivery
from tests.e2e.commands import ROOT, environment, telegram_at
from tests.factories.delivery import make_delivery
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
MESSAGES = 200


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver(latency=0.05)) as running:
        yield running


def start_sender(receiver: Receiver) -> subprocess.Popen[bytes]:
    """A real `send_due` process, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "send_due", "--until-empty"],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        env=environment(**telegram_at(receiver.url)),
    )


def test_a_killed_sender_loses_nothing_and_repeats_nothing(receiver: Receiver) -> None:
    for _ in range(MESSAGES):
        make_delivery()

    kills = 0
    for goal in (20, 60, 110):
        process = start_sender(receiver)
        receiver.await_count(goal)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
    assert start_sender(receiver).wait(timeout=90) == 0

    states = dict(Delivery.objects.values_list("status").annotate(n=Count("pk")).order_by())
    assert set(states) <= {"sent", "unknown"}
    assert sum(states.values()) == MESSAGES
    assert states.get("unknown", 0) <= kills * sender.IN_FLIGHT
    assert max(receiver.arrived.values()) == 1
    # Whoever is called sent did arrive; whoever never arrived is called unknown.
    for delivery in Delivery.objects.select_related("chat"):
        arrived = receiver.arrived[delivery.chat.telegram_id]
        assert arrived == 1 or delivery.status == "unknown"
    assert not Attempt.objects.filter(outcome="").exists()


def test_a_stop_by_signal_leaves_no_unknown(receiver: Receiver) -> None:
    for _ in range(MESSAGES):  # two seconds of work: time enough for a slow machine to say stop
        make_delivery()
    process = start_sender(receiver)
    receiver.await_count(20)

    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=25) == 0
    states = dict(Delivery.objects.values_list("status").annotate(n=Count("pk")).order_by())
    assert set(states) == {"sent", "pending"}
    assert states["sent"] == receiver.total


def ring_until(receiver: Receiver, *, count: int, log: Path) -> None:
    """Ring each second, as the clock does: a single bell may be lost."""
    for _ in range(60):
        tasks.ring()
        with receiver.changed:
            if receiver.changed.wait_for(lambda: receiver.total >= count, timeout=1):
                return
    raise AssertionError(f"only {receiver.total} arrived; the worker said:\n{log.read_text()}")


def test_a_worker_that_is_stopped_claims_no_more(receiver: Receiver, tmp_path: Path) -> None:
    """S05: a deploy in mid-sending: no unknown, nothing held, out well within Render's 30 s."""
    for _ in range(300):
        make_delivery()
    log = tmp_path / "worker.log"
    with log.open("w") as said:
        worker = subprocess.Popen(
            [sys.executable, "manage.py", "rundramatiq", "--processes", "1", "--threads", "2"],
            cwd=ROOT,
            start_new_session=True,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment(**telegram_at(receiver.url, TELEGRAM_SENDS_PER_SECOND="25")),
        )
    try:
        ring_until(receiver, count=10, log=log)
        before = receiver.total
        worker.terminate()

        assert worker.wait(timeout=10) == 0
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    states = dict(Delivery.objects.values_list("status").annotate(n=Count("pk")).order_by())
    assert set(states) == {"sent", "pending"}
    assert states["sent"] == receiver.total <= before + 3 * sender.IN_FLIGHT
