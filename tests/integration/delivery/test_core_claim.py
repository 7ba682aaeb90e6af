"""Between the claim and the first byte: what may happen there, and who wins."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection

from delivery import clock, queries, services
from delivery.domain import pacing
from delivery.domain.outcome import Kind, Verdict
from delivery.domain.results import Result
from delivery.domain.retry import MAX_DEATHS
from delivery.domain.states import Status
from delivery.ledger import Ledger
from delivery.models import Attempt, Consent, Delivery, Gate, Lane
from delivery.rows import Entry, Held
from delivery.services.gates import ensure_pacing
from tests.e2e.commands import ROOT, environment, telegram_at
from tests.factories.delivery import LONG_AGO, make_chat, make_delivery
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fast(settings: Any) -> None:
    settings.TELEGRAM_SENDS_PER_SECOND = 500.0
    ensure_pacing()


def with_ledger(story: Callable[[Ledger], Awaitable[Any]], **options: Any) -> Any:
    """Run `story` with a worker of its own."""

    async def work() -> Any:
        ledger = Ledger(**options)
        await ledger.open()
        try:
            return await story(ledger)
        finally:
            await ledger.close()

    return asyncio.run(work())


def sql(statement: str) -> None:
    """Change what no service changes."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def refuse_category(delivery: Delivery) -> None:
    Consent.objects.filter(chat=delivery.chat).update(granted=False)


def close(key: str) -> Callable[[Delivery], object]:
    """Staff, or a 429, close a gate."""
    return lambda delivery: services.close_gate(key=key, reason="x", by="staff")


def expire(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(
        expires_at=delivery.due_at + timedelta(seconds=1)
    )


def stop(delivery: Delivery) -> None:
    services.set_consent(
        chat=delivery.chat, category="", granted=False, source="stop", now=clock.now()
    )


def lose_lease(delivery: Delivery) -> None:
    sql("UPDATE nurture_deliveries SET lease_until = now() - interval '1 s'")


def retime(delivery: Delivery) -> None:
    assert services.retime(dedupe_key=delivery.dedupe_key, due_at=clock.now() + timedelta(hours=1))


@pytest.mark.parametrize(
    ("happens", "status", "reason"),
    [
        pytest.param(refuse_category, "skipped", "no_consent", id="consent"),
        pytest.param(close("stream:"), "pending", "", id="stream"),
        pytest.param(close("bot"), "pending", "", id="429"),
        pytest.param(close("bot:switch"), "pending", "", id="switch"),
        pytest.param(expire, "expired", "expired", id="expiry"),
        pytest.param(stop, "cancelled", "opted_out", id="stop"),
        pytest.param(lose_lease, "leased", "", id="lease"),
        pytest.param(retime, "pending", "", id="retime"),
    ],
)
def test_what_happens_after_the_claim_still_counts(
    happens: Callable[[Delivery], object], status: str, reason: str
) -> None:
    """P12, promise 4: the intent looks again."""
    delivery = make_delivery()

    async def story(ledger: Ledger) -> list[Held]:
        held = await ledger.claim(replies=False)
        assert [h.id for h in held] == [delivery.pk]
        await sync_to_async(happens, thread_sensitive=True)(delivery)
        return await ledger.intend(held)

    assert with_ledger(story) == []
    delivery.refresh_from_db()
    assert (delivery.status, delivery.reason) == (status, reason)
    assert not Attempt.objects.exists()


def test_two_workers_never_hold_the_same_delivery_or_chat() -> None:
    chats = [make_chat() for _ in range(40)]
    for number in range(120):
        make_delivery(chat=chats[number % 40])

    async def race(one: Ledger) -> list[Held]:
        two = Ledger()
        await two.open()
        rounds = [
            await asyncio.gather(one.claim(replies=False), two.claim(replies=False))
            for _ in range(4)
        ]
        await two.close()
        return [held for claims in rounds for claim in claims for held in claim]

    held = with_ledger(race)

    assert len(held) >= 40
    assert len({h.id for h in held}) == len(held)
    assert len({h.chat for h in held}) == len(held)
    slots = sorted(h.slot_at for h in held)
    assert all(b - a >= timedelta(seconds=1 / 501) for a, b in itertools.pairwise(slots))


def test_nobody_overtakes_what_pacing_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """P09: the first waits for its chat, and the slots of this claim lie behind that moment."""
    monkeypatch.setattr(pacing, "HORIZON", timedelta(seconds=60))  # so that we may be slow
    first = make_delivery()
    ahead = "SET next_slot_at = clock_timestamp() + interval"
    sql(f"UPDATE delivery_chat {ahead} '15 s'")

    assert with_ledger(lambda ledger: ledger.claim(replies=False)) == []
    second = make_delivery(chat=first.chat)
    sql(f"UPDATE delivery_gate {ahead} '25 s' WHERE key = 'bot'")
    assert with_ledger(lambda ledger: ledger.claim(replies=False)) == []

    first.refresh_from_db()
    second.refresh_from_db()
    first.chat.refresh_from_db()
    assert first.run_at < first.chat.next_slot_at  # a candidate before anybody can go
    assert (first.status, second.status) == ("pending", "pending")


def test_two_processes_share_the_work_and_send_once() -> None:
    with receiving(Receiver(latency=0.02)) as receiver:
        for _ in range(150):
            make_delivery()
        env = environment(**telegram_at(receiver.url, TELEGRAM_SENDS_PER_SECOND="100"))
        command = [sys.executable, "manage.py", "send_due", "--until-empty"]
        processes = [subprocess.Popen(command, cwd=ROOT, env=env) for _ in range(2)]

        assert [process.wait(timeout=60) for process in processes] == [0, 0]

        assert set(receiver.arrived.values()) == {1}
        assert receiver.total == 150
    assert Delivery.objects.filter(status="sent").count() == 150


def test_a_reply_does_not_wait_behind_bulk_and_pushes_it() -> None:
    for _ in range(30):
        make_delivery()
    reply = make_delivery(lane=Lane.REPLY)

    async def story(ledger: Ledger) -> tuple[list[Held], Any, Any, Any]:
        await ledger.claim(replies=False)
        before = await ledger._one("SELECT next_slot_at FROM delivery_gate WHERE key = 'bot'")
        held = await ledger.claim(replies=True)
        after = await ledger._one("SELECT next_slot_at FROM delivery_gate WHERE key = 'bot'")
        return held, before["next_slot_at"], after["next_slot_at"], ledger.now()

    held, before, after, now = with_ledger(story)
    assert [h.id for h in held] == [reply.pk]
    assert held[0].slot_at - now < timedelta(seconds=0.1)
    assert after - before >= timedelta(seconds=1 / 501)


def test_no_reply_waits_for_one_whose_worker_died() -> None:
    """That one goes alone, and who is busy with bulk is not alone for a long time."""
    dead, other = (make_delivery(lane=Lane.REPLY) for _ in range(2))
    Delivery.objects.filter(pk=dead.pk).update(deaths=1)

    async def story(ledger: Ledger) -> list[list[int]]:
        return [
            [held.id for held in await ledger.claim(replies=True, idle=idle)]
            for idle in (False, False, True)
        ]

    assert with_ledger(story) == [[other.pk], [], [dead.pk]]


def await_the_dead() -> None:
    """A closed session takes a moment to go."""
    for _ in range(1_000):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
                [queries.ADVISORY_CLASS],
            )
            if cursor.fetchone()[0] == 0:
                return
        time.sleep(0.01)
    raise AssertionError("a worker lives")


def test_a_dead_workers_lease_is_free_at_once_and_a_live_ones_is_not() -> None:
    delivery = make_delivery()

    async def claim_and_die(ledger: Ledger) -> None:
        assert await ledger.claim(replies=False)

    async def tidy_beside_it(one: Ledger) -> str:
        assert await one.claim(replies=False)
        two = Ledger()
        await two.open()
        await two.tidy()
        await two.close()
        row = await one._one("SELECT status FROM nurture_deliveries")
        return str(row["status"])

    with_ledger(claim_and_die)
    await_the_dead()
    delivery.refresh_from_db()
    assert delivery.status == "leased"
    with_ledger(lambda ledger: ledger.tidy())
    delivery.refresh_from_db()
    assert (delivery.status, delivery.deaths, delivery.fence) == ("pending", 1, 2)

    sql("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
    assert with_ledger(tidy_beside_it) == "leased"


def test_who_holds_a_delivery_twice_calls_once() -> None:
    """G2: a worker that stood still past its lease claims anew what it believes to hold yet."""
    make_delivery()

    async def story(ledger: Ledger) -> None:
        (old,) = await ledger.claim(replies=False)
        await sync_to_async(sql)("UPDATE nurture_deliveries SET lease_until = now()")
        await ledger.tidy()  # as another worker does meanwhile
        await sync_to_async(sql)("UPDATE delivery_chat SET next_slot_at = now()")
        (new,) = await ledger.claim(replies=False)
        assert new.fence > old.fence

        assert [held.fence for held in await ledger.intend([old, new])] == [new.fence]

    with_ledger(story)
    assert Attempt.objects.count() == 1


def test_what_kills_its_workers_is_given_up() -> None:
    delivery = make_delivery()
    for _ in range(MAX_DEATHS):
        Delivery.objects.filter(pk=delivery.pk).update(
            status="leased", fence=delivery.fence + 1, leased_by="7",
            lease_until=clock.now() + timedelta(minutes=1),
        )  # fmt: skip
        with_ledger(lambda ledger: ledger.tidy())
        delivery.refresh_from_db()

    assert (delivery.status, delivery.reason) == ("dead", "poison")


def test_a_late_answer_repairs_an_unknown_and_an_older_one_does_not() -> None:
    delivery = make_delivery()

    def entry(held: Held, fence: int) -> Entry:
        old = Held(**{**held.__dict__, "fence": fence})
        verdict = Verdict(kind=Kind.SENT, message_id=9)
        return Entry(held=old, result=Result(status=Status.SENT), verdict=verdict, outcome="sent")

    async def story(ledger: Ledger) -> list[list[str]]:
        held = (await ledger.intend(await ledger.claim(replies=False)))[0]
        await ledger._run("UPDATE nurture_deliveries SET lease_until = now() - interval '1 s'")
        await ledger.tidy()
        row = await ledger._one("SELECT status, reason FROM nurture_deliveries")
        assert (row["status"], row["reason"]) == ("unknown", "worker_died")
        return [await ledger.record([entry(held, fence)]) for fence in (held.fence - 1, held.fence)]

    assert with_ledger(story) == [[], ["sent"]]
    delivery.refresh_from_db()
    assert (delivery.status, delivery.message_id) == ("sent", 9)
    assert Attempt.objects.get().outcome == "sent"


def test_an_unknown_settles_after_its_quarantine_and_is_not_sent_again() -> None:
    delivery = make_delivery()

    async def story(ledger: Ledger) -> list[Held]:
        await ledger.intend(await ledger.claim(replies=False))
        await ledger._run(
            "UPDATE nurture_deliveries SET lease_until = now() - interval '1 s',"
            " intent_at = now() - interval '14 min'"
        )
        await ledger.tidy()
        assert (await ledger._one("SELECT settled_at FROM nurture_deliveries"))[
            "settled_at"
        ] is None
        await ledger._run("UPDATE nurture_deliveries SET intent_at = now() - interval '16 min'")
        await ledger.tidy()
        return await ledger.claim(replies=False)

    assert with_ledger(story) == []
    delivery.refresh_from_db()
    assert delivery.status == "unknown"
    assert delivery.settled_at is not None


def test_a_quiet_minute_raises_the_rate_again() -> None:
    with_ledger(lambda ledger: ledger.hold_bot(wait=timedelta(seconds=1)))
    lowered = Gate.objects.get(key="bot").rate
    sql("UPDATE delivery_gate SET closed_until = '2000-01-01Z' WHERE key = 'bot'")

    with_ledger(lambda ledger: ledger.tidy())
    assert Gate.objects.get(key="bot").rate == lowered
    sql("UPDATE delivery_gate SET rate_changed_at = now() - interval '61 s' WHERE key = 'bot'")
    with_ledger(lambda ledger: ledger.tidy())

    assert Gate.objects.get(key="bot").rate == lowered + 1


def test_a_claim_begins_where_the_last_one_ended_and_looks_back_again() -> None:
    """While much is due; what came in before that place is found by the next look at all."""
    for number in range(queries.MOST_READ * 2):
        make_delivery(due_at=LONG_AGO + timedelta(seconds=number))

    async def story(ledger: Ledger) -> list[list[int]]:
        async def claim() -> list[int]:
            await ledger._run("UPDATE delivery_gate SET next_slot_at = '2000-01-01Z'")
            return [held.id for held in await ledger.claim(replies=False)]

        taken = [await claim()]
        assert ledger._since[0] > LONG_AGO
        early = await sync_to_async(make_delivery)(due_at=LONG_AGO - timedelta(days=1))
        taken.append(await claim())
        assert early.pk not in taken[1]
        ledger._rescan_at = 0.0  # five seconds later
        taken.append(await claim())
        assert early.pk == taken[2][0]
        return taken

    first, second, _ = with_ledger(story)

    assert first
    assert max(first) < min(second)
