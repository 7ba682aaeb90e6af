"""How late a message comes that was due at a moment, at 20 a second and with much that waits."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from django.db import transaction

from tests.bench.queues import empty, fill, plan
from tests.bench.report import Figures, Line, expect, share
from tests.faults.books import owe
from tests.integration.delivery.receiver import Receiver

RATE, LIMIT = 20, 25  # messages a second: what comes due, what may go
SOON = timedelta(seconds=1.5)


def measure(receiver: Receiver, *, seconds: int, waiting: int) -> tuple[Figures, list[float]]:
    """Let messages come due at random moments while a worker and a clock send to the receiver.

    The figures, and how late each was: from `due_at` to its arrival, as the receiver's clock says.
    """
    chance = random.Random(1)
    due = [0.0]
    while due[-1] < seconds:
        due.append(due[-1] + chance.expovariate(RATE))
    empty()
    owe(1)
    fill(waiting, stream="stream:", at="30 days")
    receiver.await_count(1, seconds=60)  # they start up
    chats = range(2, len(due) + 2)
    with transaction.atomic():
        owe(len(due), first=1)
        began = datetime.now(tz=UTC) + SOON
        plan(chats, [began + timedelta(seconds=at) for at in due])
    receiver.await_count(len(due) + 1, seconds=seconds + 60)
    expect("doubled", {chat: n for chat, n in receiver.arrived.items() if n > 1}, {})
    start = began.timestamp() - (time.time() - time.monotonic())
    arrived = {chat: at for (chat, _), at in zip(receiver.texts, receiver.times, strict=True)}
    late = [arrived[chat] - start - at for chat, at in zip(chats, due, strict=True)]
    perfect = _waits(due)
    return {
        "messages": len(late), "waiting": waiting, "p50": share(late, 0.5),
        "p95": share(late, 0.95), "p99": share(late, 0.99),
        "perfect_p50": share(perfect, 0.5), "perfect_p99": share(perfect, 0.99),
    }, late  # fmt: skip


def _waits(due: list[float]) -> list[float]:
    """How long they would wait for a sender that does nothing but keep to the rate."""
    waits = [0.0]
    for before, at in pairwise(due):
        waits.append(max(0.0, waits[-1] + 1 / LIMIT - (at - before)))
    return waits


def lines(found: Figures) -> list[Line]:
    """For the table."""
    what = f"late at {RATE} a second, {found['waiting']:,} waiting, s"
    return [
        (f"{what}, p50", found["p50"], f"the rate alone: {found['perfect_p50']:.2f}"),
        (f"{what}, p95", found["p95"], ""),
        (f"{what}, p99", found["p99"], f"<= 1.5; the rate alone: {found['perfect_p99']:.2f}"),
    ]
