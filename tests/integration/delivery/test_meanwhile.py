"""What staff and learners do in the very moment in which a message goes out (promises 2 to 4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from delivery import clock, invariants, postgres, services
from delivery.domain.outcome import Kind, Verdict
from delivery.domain.reasons import Reason
from delivery.domain.results import result_of
from delivery.ledger import Ledger
from delivery.models import Chat, Delivery
from delivery.rows import Entry, Held
from delivery.services.gates import ensure_pacing
from tests.factories.delivery import make_delivery
from tests.integration.delivery.test_core_claim import with_ledger
from tests.integration.delivery.test_core_services import put

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fast(settings: Any) -> None:
    settings.TELEGRAM_SENDS_PER_SECOND = 500.0
    ensure_pacing()


_WAITS = """
SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@contextmanager
def committing(statement: str, *values: object) -> Iterator[Any]:
    """Another worker's change of a row; it is committed as soon as somebody waits for it."""
    with psycopg.connect(**postgres.parameters()) as other:
        other.execute(statement, values)

        def commit() -> None:
            with psycopg.connect(**postgres.parameters(), autocommit=True) as watch:
                while not watch.execute(_WAITS).fetchone()[0]:  # type: ignore[index]
                    pass
            other.commit()

        watcher = threading.Thread(target=commit, daemon=True)
        watcher.start()
        yield other
        watcher.join(20)
        assert not watcher.is_alive()


def test_what_is_withdrawn_while_its_intent_is_committed_is_not_tried_again() -> None:
    """Not accepted (a 429, a refused connection), it would go out later, corrected or not."""
    row = make_delivery()
    put(row, "leased")

    with committing(
        "UPDATE nurture_deliveries SET status = 'sending', intent_at = now() WHERE id = %s", row.pk
    ):
        assert services.cancel(dedupe_keys=[row.dedupe_key], reason="corrected") == 0

    row.refresh_from_db()
    assert (row.status, row.withdrawal) == ("sending", "corrected")


def test_who_is_told_what_was_withdrawn_hears_of_what_came_back_meanwhile() -> None:
    """It was on the wire, and turned out not to have been written."""
    row = make_delivery()
    put(row, "leased")
    put(row, "sending")

    back = "UPDATE nurture_deliveries SET status = 'pending', lease_until = NULL WHERE id = %s"
    with committing(back, row.pk), transaction.atomic():
        found = services.cancel_each(dedupe_keys=[row.dedupe_key], reason="withdrawn")

    row.refresh_from_db()
    assert (found, row.status) == ({row.dedupe_key}, "cancelled")


def test_who_ends_a_snooze_hears_at_once_also_what_was_tried_before() -> None:
    row = make_delivery()
    now = clock.now()
    until = now + timedelta(days=1)
    services.snooze(chat=row.chat, until=until)
    Delivery.objects.filter(pk=row.pk).update(attempts=1, run_at=until)  # a retry met the snooze

    services.snooze(chat=row.chat, until=None)

    row.refresh_from_db()
    assert row.run_at < until


def on_the_wire(**known: Any) -> Held:
    """A delivery whose intent a worker has committed; nothing came of it yet."""
    row = make_delivery(**known)

    async def story(ledger: Ledger) -> Held:
        (held,) = await ledger.intend(await ledger.claim(replies=False))
        return held

    held: Held = with_ledger(story)
    assert held.id == row.pk
    return held


def came(held: Held, kind: Kind, **more: Any) -> Entry:
    """What came of a call."""
    verdict = Verdict(kind=kind, reason=Reason.NO_ANSWER if kind is Kind.UNKNOWN else None, **more)
    result = result_of(verdict, attempts=1, fraction=0)
    return Entry(held=held, result=result, verdict=verdict, outcome=kind.value)


def record(held: Held, kind: Kind, **more: Any) -> None:
    async def story(ledger: Ledger) -> None:
        await ledger.record([came(held, kind, **more)])

    with_ledger(story)


def found_wrong() -> list[str]:
    """What the audit says."""
    wrong = []
    with connection.cursor() as cursor:
        for name, (_, _, statement) in invariants.INVARIANTS.items():
            cursor.execute(statement)
            wrong += [name] * len(cursor.fetchall())
    return wrong


@pytest.mark.parametrize("late", [Kind.UNKNOWN, Kind.SENT, Kind.NOT_SENT])
def test_a_button_pressed_before_the_answer_is_recorded_proves_it_too(late: Kind) -> None:
    """Its answer may never come; then it would be in doubt for ever, and staff might repeat it."""
    held = on_the_wire()

    assert services.resolve_by_evidence(delivery_id=held.id)
    record(held, late)

    row = Delivery.objects.get(pk=held.id)
    assert (row.status, row.reason, row.tries.get().outcome) == ("sent", "", "sent")
    assert row.settled_at
    assert found_wrong() == []


@pytest.mark.parametrize("leased", [False, True])
def test_a_button_of_the_first_copy_spares_the_second(leased: bool) -> None:
    """Staff sent again what was unknown; while it waits for the morning the learner presses."""
    held = on_the_wire()
    record(held, Kind.UNKNOWN)
    Delivery.objects.filter(pk=held.id).update(settled_at=clock.now())
    services.send_again(delivery_ids=[held.id], now=clock.now())
    if leased:
        put(Delivery.objects.get(pk=held.id), "leased")

    assert services.resolve_by_evidence(delivery_id=held.id)

    assert Delivery.objects.get(pk=held.id).status == "sent"
    assert found_wrong() == []


def test_a_button_of_what_was_never_tried_proves_nothing() -> None:
    """Clients may send any data."""
    row = make_delivery()
    assert not services.resolve_by_evidence(delivery_id=row.pk)
    row.refresh_from_db()
    assert row.status == "pending"


@pytest.mark.parametrize(
    ("back", "left"), [(True, ("ok", "pending")), (False, ("blocked", "cancelled"))]
)
def test_who_lets_the_bot_in_again_is_not_blocked_by_an_older_answer(
    back: bool, left: tuple[str, str]
) -> None:
    """The refusal is recorded after the update that says "member"."""
    held = on_the_wire()
    chat = Chat.objects.get(pk=held.chat)
    later = make_delivery(chat=chat)
    if back:
        for reachability in ("blocked", "ok"):
            services.set_reachability(chat=chat, reachability=reachability, now=clock.now())

    async def story(ledger: Ledger) -> None:
        await ledger.record([came(held, Kind.NOT_SENT)])
        await ledger.chat_is(held, reachability="blocked", reason="chat_blocked")

    with_ledger(story)

    later.refresh_from_db()
    chat.refresh_from_db()
    assert (chat.reachability, later.status) == left
