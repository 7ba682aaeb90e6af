"""Workers that are killed, stopped and replaced while they send (F1, F2, F3, F10)."""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from delivery import sender
from tests.faults.books import SHORT, assert_kept, owe, states
from tests.faults.forks import Forks, forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(1800),
]  # fmt: skip
log = logging.getLogger("faults")
AT_ONCE = 12  # messages of one kill point: more than are ever in flight


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = 500.0  # of the gates, which this process makes
    with receiving(Receiver(latency=0.01)) as running:
        yield running


@pytest.fixture
def workers(receiver: Receiver) -> Iterator[Forks]:
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="500") as running:
        yield running


def test_a_worker_killed_at_any_line_loses_and_repeats_nothing(
    receiver: Receiver, workers: Forks, tmp_path: Path
) -> None:
    """F1: kill -9 at lines spread over everything that a drain executes, then another drains."""
    owe(AT_ONCE)
    counted = tmp_path / "lines"
    assert workers.drain(lines=str(counted)) == 0
    lines = int(counted.read_text())
    points = 24 if SHORT else 320
    owed = killed = 0
    for number in range(1, points + 1):
        owe(AT_ONCE, first=1000 * number)
        before = states()["unknown"]
        killed += workers.drain(kill_at=number * lines // (points + 3)) == -signal.SIGKILL
        assert workers.drain() == 0
        assert states()["unknown"] - before <= sender.IN_FLIGHT
        owed = AT_ONCE * (number + 1)
    assert SHORT or killed >= 200
    assert killed > 0.5 * points  # a drain that had better luck executes fewer lines
    assert_kept(receiver, owed=owed, unknown=killed * sender.IN_FLIGHT)
    log.info("%s kill points of %s lines, %s messages: %s", killed, lines, owed, dict(states()))


def test_workers_killed_at_random_lose_and_repeat_nothing(
    receiver: Receiver, workers: Forks
) -> None:
    """F2: two at work, every so many messages one of them is killed and replaced."""
    owed, kills = (1_500, 15) if SHORT else (20_000, 200)
    owe(owed)
    draw = random.Random(7)
    at_work = [workers.start(), workers.start()]
    # What a killed worker had just begun to write never arrives: not every message will.
    for goal in sorted(draw.sample(range(20, owed * 4 // 5), kills)):
        receiver.await_count(goal)
        gone = at_work.pop(draw.randrange(2))
        workers.kill(gone)
        at_work.append(workers.start())
    for pid in at_work:
        assert workers.wait(pid) == 0
    assert workers.drain() == 0
    assert_kept(receiver, owed=owed, unknown=kills * sender.IN_FLIGHT)
    log.info("%s kills, %s messages: %s", kills, owed, dict(states()))


def test_a_worker_stopped_past_its_lease_wakes_up_and_does_no_harm(
    receiver: Receiver, workers: Forks
) -> None:
    """F3: another takes over what it held; what it had on the wire it may still settle."""
    stops = 3 if SHORT else 60
    lease = 1.0
    owed = 0
    for number in range(1, stops + 1):
        owe(150, first=1000 * number)
        owed += 150
        stopped = workers.start(lease=lease)
        receiver.await_count(owed - 150 + 20)
        os.kill(stopped, signal.SIGSTOP)
        assert workers.drain(lease=lease) == 0
        while states()["leased"] + states()["sending"]:  # its leases end, somebody takes over
            assert workers.drain(lease=lease) == 0
        os.kill(stopped, signal.SIGCONT)
        assert workers.wait(stopped) == 0
        assert workers.drain(lease=lease) == 0
    assert_kept(receiver, owed=owed, unknown=stops * sender.IN_FLIGHT)
    log.info("%s stops, %s messages: %s", stops, owed, dict(states()))


def test_a_deploy_in_mid_sending_leaves_nothing_unknown(receiver: Receiver, settings: Any) -> None:
    """F10: SIGTERM, a new worker, again and again: every message once, none in doubt."""
    restarts = 5 if SHORT else 50
    settings.TELEGRAM_SENDS_PER_SECOND = 30.0
    owed = restarts * 30
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="30") as workers:
        owe(owed)
        at_work = workers.start()
        for number in range(1, restarts + 1):
            receiver.await_count(min(number * 25, owed))
            os.kill(at_work, signal.SIGTERM)
            replaced = at_work
            at_work = workers.start()
            assert workers.wait(replaced) == 0
        assert workers.wait(at_work) == 0
        assert workers.drain() == 0
    assert_kept(receiver, owed=owed, unknown=0)
    log.info("%s restarts, %s messages: %s", restarts, owed, dict(states()))
