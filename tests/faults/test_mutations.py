"""Take a guard of the protocol away, and the same stories end with a message twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from delivery import clock, queries, services
from delivery.domain.outcome import Kind, Verdict
from delivery.domain.results import MISSED
from delivery.ledger import Ledger
from delivery.rows import Entry, Held
from tests.faults.books import owe
from tests.faults.forks import forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(300),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.TELEGRAM_SENDS_PER_SECOND = 500.0


@pytest.fixture
def two() -> Callable[[Any], Any]:
    """Runs a story with two workers."""

    def run(story: Any) -> Any:
        async def work() -> Any:
            one, other = Ledger(), Ledger()
            await one.open()
            await other.open()
            try:
                return await story(one, other)
            finally:
                await one.close()
                await other.close()

        return asyncio.run(work())

    return run


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


async def late_answer(one: Ledger, other: Ledger) -> list[Held]:
    """A worker stops with a message on the wire; staff send it again; the worker wakes up.

    It says that it never wrote. Returns what may be claimed while the other still sends.
    """
    (held,) = await one.intend(await one.claim(replies=False))
    await one._run("UPDATE nurture_deliveries SET lease_until = now() - interval '1 s'")
    await other.tidy()
    await other._run("UPDATE nurture_deliveries SET settled_at = now()")
    again = sync_to_async(services.send_again)
    assert await again(delivery_ids=[held.id], now=await sync_to_async(clock.now)())
    await other._run("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
    assert await other.intend(await other.claim(replies=False))
    not_sent = Verdict(kind=Kind.NOT_SENT)
    await one.record([Entry(held=held, result=MISSED, verdict=not_sent, outcome="not_sent")])
    await other._run("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
    await other._run("UPDATE delivery_gate SET next_slot_at = '2000-01-01Z'")
    return await other.claim(replies=False)


@pytest.mark.parametrize("fenced", [True, False])
def test_the_fence(two: Any, fenced: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    owe(1)
    if not fenced:
        unfenced = queries.RECORD.replace("AND d.fence = r.fence", "")
        monkeypatch.setattr(queries, "RECORD", unfenced)
    assert bool(two(late_answer)) == (not fenced)


async def claim_together(one: Ledger, other: Ledger) -> int:
    """How many deliveries two workers hold that claim at the same time, each counted once more."""
    held = await asyncio.gather(*(worker.claim(replies=False) for worker in (one, other)))
    ids = [row.id for rows in held for row in rows]
    return len(ids) - len(set(ids))


@pytest.mark.parametrize("locked", [True, False])
def test_the_locks(two: Any, locked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's row, SKIP LOCKED and the status in the grant: any one of them would do."""
    owe(50)
    if not locked:
        monkeypatch.setattr(
            queries, "LOCK_GATE", queries.LOCK_GATE.replace("FOR NO KEY UPDATE", "")
        )
        unlocked = queries.READ_BULK.replace("FOR NO KEY UPDATE SKIP LOCKED", "")
        monkeypatch.setattr(queries, "READ_BULK", unlocked)
        pending = "WHERE d.id = s.id AND d.status = 'pending'"
        monkeypatch.setattr(queries, "GRANT", queries.GRANT.replace(pending, "WHERE d.id = s.id"))
    doubled = sum(two(claim_together) for _ in _rounds(10))
    assert bool(doubled) == (not locked)


def _rounds(count: int) -> Iterator[int]:
    """Each with everything owed anew."""
    for number in range(count):
        yield number
        sql("UPDATE nurture_deliveries SET status = 'pending', lease_until = NULL")
        sql("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
        sql("UPDATE delivery_gate SET next_slot_at = '2000-01-01Z'")


@pytest.mark.parametrize("heeded", [True, False])
def test_the_intent(heeded: bool) -> None:
    """Who takes what is on the wire for what was only leased sends it a second time."""
    with (
        receiving(Receiver(latency=0.05)) as receiver,
        forks(receiver.url, TELEGRAM_SENDS_PER_SECOND="500") as workers,
    ):
        owe(300)
        for goal in (20, 80, 140):
            pid = workers.start(naive=not heeded)
            receiver.await_count(goal)
            workers.kill(pid)
        assert workers.drain(naive=not heeded) == 0
        assert workers.drain(naive=not heeded) == 0
    assert (max(receiver.arrived.values()) > 1) == (not heeded)
