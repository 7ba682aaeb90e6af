"""Telegram misbehaves: each bad answer once, and each as an outage (F7, S17)."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from config.embedded import _await
from delivery import consequences, selectors, sender
from delivery.models import Attempt, Gate
from tests.faults.books import SHORT, assert_kept, owe, settled, states
from tests.faults.forks import forks
from tests.faults.wire import AFTER, BEFORE, Wire, wired
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(1800),
]  # fmt: skip
log = logging.getLogger("faults")
RATE = 100.0
#: Of a call, and from one probe to the next; in place of 15 s, so that an outage has many.
CALL_SECONDS, PROBE_SECONDS = (0.4, 0.4) if SHORT else (2.0, 2.0)
OUTAGES = ("refused", "silence", "garbage") if SHORT else (*BEFORE, *AFTER)
PROBES = 2 if SHORT else 10
LATER = 20


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = RATE
    with receiving(Receiver()) as running:
        yield running


@pytest.fixture
def wire(receiver: Receiver) -> Iterator[Wire]:
    with wired(receiver.url) as laid:
        yield laid


def hasty(**more: Any) -> dict[str, Any]:
    return {"call_seconds": CALL_SECONDS, "probe_seconds": PROBE_SECONDS} | more


def test_each_bad_answer_is_taken_for_what_it_is(receiver: Receiver, wire: Wire) -> None:
    """What may have arrived is unknown, and is not sent again; what cannot have, is sent later."""
    times = 1 if SHORT else 10
    kinds = (*AFTER, "flood") * times
    owe(len(kinds))
    wire.by_chat = dict(enumerate(kinds, start=1))
    owed = len(kinds)
    with forks(wire.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers:
        settled(workers, **hasty())
        assert states() == {"unknown": len(AFTER) * times, "sent": times}
        for fault in ("refused", "unaccepted", "reset on accept") * (1 if SHORT else 10):
            owe(1, first=1000 + owed)
            owed += 1
            wire.fail(fault)
            assert workers.drain(**hasty()) == 0
            wire.fail("")
            settled(workers, **hasty())
    tries = Attempt.objects.exclude(outcome="unknown")
    assert not tries.filter(delivery__status="unknown").exclude(outcome="not_sent").exists()
    assert_kept(receiver, owed=owed, unknown=len(AFTER) * times + (1 if SHORT else 10))
    log.info("%s calls, %s kinds: %s", owed, len((*BEFORE, *AFTER)), dict(states()))


@pytest.mark.parametrize("fault", OUTAGES)
def test_an_outage_costs_few_unknowns_and_ends_by_itself(
    receiver: Receiver, wire: Wire, fault: str
) -> None:
    """The breaker is a gate that staff see; nobody's message is the probe."""
    owed = 80 if SHORT else 400
    key = "bot" if fault == "flood" else "bot:breaker"
    owe(owed)
    closings: set[Any] = set()

    def is_asked() -> bool:
        """Whether Telegram was tried in vain so often."""
        closings.update(Gate.objects.filter(key=key).values_list("updated_at", flat=True))
        return len(closings) > PROBES

    with forks(wire.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as workers:
        pid = workers.start(**hasty(keep=True))
        receiver.await_count(20)
        closings.update(Gate.objects.filter(key=key).values_list("updated_at", flat=True))
        wire.fail(fault)
        owe(LATER, first=1000)  # however late we are: something is owed while nobody answers
        _await(is_asked, seconds=20 + PROBES * 5, what="the probes")
        if fault != "flood":
            assert [gate.key for gate in selectors.blocking_gates()] == ["bot:breaker"]
        wire.fail("")
        _await(lambda: set(states()) <= {"sent", "unknown"}, seconds=90, what="the rest")
        os.kill(pid, signal.SIGTERM)
        assert workers.wait(pid) == 0
    assert selectors.blocking_gates() == []
    most = sender.IN_FLIGHT + consequences.BREAKER_FAILURES
    assert_kept(receiver, owed=owed + LATER, unknown=most)
    log.info("%s, asked %s times: %s", fault, len(closings) - 1, dict(states()))
