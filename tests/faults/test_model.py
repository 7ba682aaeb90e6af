"""Generated stories of two workers, staff and lost connections against the real rows (F15).

A receiver in memory counts what Telegram would have accepted; after every step no message has been
accepted twice unless staff sent it again, and the books are right.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from delivery import clock, invariants, queries, services
from delivery.domain.outcome import Kind, Verdict
from delivery.domain.results import MISSED, result_of
from delivery.ledger import Ledger
from delivery.models import Delivery
from delivery.rows import Entry, Held
from tests.faults.books import SHORT, owe

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(3600),
]  # fmt: skip

_LIVING = f"""
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = {queries.ADVISORY_CLASS}
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
#: What a call comes to, and whether Telegram then has the message.
ANSWERS = {
    "accepted": (Kind.SENT, True),
    "accepted, no answer": (Kind.UNKNOWN, True),
    "lost on the way": (Kind.UNKNOWN, False),
    "never written": (Kind.NOT_SENT, False),
}
WORKERS = st.integers(0, 1)
PICK = st.integers(0, 30)


@dataclass
class Worker:
    """What one process has in memory. It may lose its connection and live."""

    ledger: Ledger = field(default_factory=Ledger)
    held: list[Held] = field(default_factory=list)
    sending: list[Held] = field(default_factory=list)
    results: list[Entry] = field(default_factory=list)


class Protocol(RuleBasedStateMachine):
    """Six messages to three chats; leases end, connections go, processes die, staff look on."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.accepted: Counter[int] = Counter()  # since staff last sent it again
        self.workers = [Worker(), Worker()]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)

    @initialize()
    def begin(self) -> None:
        _sql("TRUNCATE nurture_deliveries, delivery_chat, delivery_gate CASCADE")
        owe(6)
        _sql("UPDATE nurture_deliveries SET chat_id = (SELECT min(id) FROM delivery_chat) + id % 3")
        for worker in self.workers:
            self.do(worker.ledger.open())

    @rule(number=WORKERS)
    def claim(self, number: int) -> None:
        worker = self.workers[number]
        worker.held += self.do(worker.ledger.claim(replies=False))

    @rule()
    def claim_together(self) -> None:
        async def both() -> None:
            claims = [worker.ledger.claim(replies=False) for worker in self.workers]
            found = await asyncio.gather(*claims)
            for worker, rows in zip(self.workers, found, strict=True):
                worker.held += rows

        self.do(both())

    @rule(number=WORKERS, most=st.integers(1, 3))
    def intend(self, number: int, most: int) -> None:
        worker = self.workers[number]
        batch, worker.held = worker.held[:most], worker.held[most:]
        if batch:
            worker.sending += self.do(worker.ledger.intend(batch))

    @rule(number=WORKERS, pick=PICK, answer=st.sampled_from(sorted(ANSWERS)))
    def call(self, number: int, pick: int, answer: str) -> None:
        worker = self.workers[number]
        if not worker.sending:
            return
        held = worker.sending.pop(pick % len(worker.sending))
        kind, arrives = ANSWERS[answer]
        self.accepted[held.id] += arrives
        verdict = Verdict(kind=kind, message_id=held.id if kind is Kind.SENT else None)
        missed = kind is Kind.NOT_SENT
        result = MISSED if missed else result_of(verdict, attempts=held.attempts, fraction=0)
        worker.results.append(
            Entry(held=held, result=result, verdict=verdict, outcome=kind.value, http_status=200)
        )

    @rule(number=WORKERS)
    def record(self, number: int) -> None:
        worker = self.workers[number]
        results, worker.results = worker.results, []
        if results:
            self.do(worker.ledger.record(results))

    @rule(number=WORKERS)
    def release(self, number: int) -> None:
        worker = self.workers[number]
        batch, worker.held = worker.held, []
        self.do(worker.ledger.release(batch))

    @rule(number=WORKERS)
    def die(self, number: int) -> None:
        """`kill -9`: what it knew is gone, and a new one begins."""
        self.do(self.workers[number].ledger.close())
        self.workers[number] = Worker()
        self.do(self.workers[number].ledger.open())

    @rule(number=WORKERS)
    def lose_connection(self, number: int) -> None:
        """It stands still so long that others take over, and then goes on as if nothing was."""
        self.do(self.workers[number].ledger.close())
        self.do(self.workers[1 - number].ledger.tidy())
        self.do(self.workers[number].ledger.open())

    @rule()
    def leases_end(self) -> None:
        _sql("UPDATE nurture_deliveries SET lease_until = now() WHERE lease_until IS NOT NULL")

    @rule(number=WORKERS)
    def tidy(self, number: int) -> None:
        self.do(self.workers[number].ledger.tidy())

    @rule(pick=PICK)
    def staff_send_again(self, pick: int) -> None:
        """After the quarantine; a worker that was frozen longer than that is its own story."""
        open_calls = {held.id for worker in self.workers for held in worker.sending}
        rows = Delivery.objects.filter(status="unknown").exclude(pk__in=open_calls).order_by("pk")
        ids = list(rows.values_list("pk", flat=True))
        if ids:
            chosen = ids[pick % len(ids)]
            Delivery.objects.filter(pk=chosen, settled_at=None).update(settled_at=clock.now())
            services.send_again(delivery_ids=[chosen], now=clock.now())
            self.accepted[chosen] = 0

    @rule()
    def pacing_lets_go(self) -> None:
        _sql("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
        _sql("UPDATE delivery_gate SET next_slot_at = '2000-01-01Z'")
        _sql("UPDATE nurture_deliveries SET run_at = due_at WHERE status = 'pending'")

    @invariant()
    def nobody_hears_it_twice(self) -> None:
        assert max(self.accepted.values(), default=0) <= 1

    @invariant()
    def the_books_are_right(self) -> None:
        with connection.cursor() as cursor:
            for name, (_, _, statement) in invariants.INVARIANTS.items():
                cursor.execute(statement)
                assert cursor.fetchall() == [], name

    @invariant()
    def what_telegram_has_is_not_owed(self) -> None:
        for row in Delivery.objects.filter(status__in=("pending", "leased")):
            assert not self.accepted[row.pk]

    def teardown(self) -> None:
        """When all have died, every message is sent, owed, dead or called unknown."""
        try:
            for worker in self.workers:
                self.do(worker.ledger.close())
            if Delivery.objects.exists():
                self.do(self.rescue())
                states = set(Delivery.objects.values_list("status", flat=True))
                assert states <= {"sent", "pending", "dead", "unknown"}, states
                self.what_telegram_has_is_not_owed()
        finally:
            self.loop.close()

    async def rescue(self) -> None:
        last = Ledger()
        await last.open()
        while (await last._one(_LIVING))["count"] > 1:  # a closed session takes a moment to go
            await asyncio.sleep(0.01)
        await last.tidy()
        await last.close()


def _sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def play(examples: int, *, steps: int = 60) -> None:
    run_state_machine_as_test(
        Protocol,
        settings=settings(
            max_examples=examples,
            phases=[Phase.generate],
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            print_blob=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_generated_story_keeps_the_promises() -> None:
    play(30 if SHORT else 2_000)


NAIVE = queries.RESCUE_LEASED.replace("'leased' AND", "'sending' AND").replace("%(most)s", "99")


def test_without_the_intent_a_story_breaks_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the wire is taken for what was only leased. Fence and locks: test_mutations."""
    monkeypatch.setattr(queries, "RESCUE_SENDING", NAIVE)
    with pytest.raises((AssertionError, Flaky, ExceptionGroup)):
        play(400)
