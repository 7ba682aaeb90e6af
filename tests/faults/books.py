"""What is owed at the beginning of a fault, and what must be true at its end."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import Any

from django.db import connection

from config import audit
from delivery.models import Chat, Delivery
from delivery.services.gates import ensure_pacing, ensure_stream
from tests.faults.forks import Forks
from tests.integration.delivery.receiver import Receiver

#: `make faults SHORT=1`: the same faults, fewer of them; for each check of a change.
SHORT = bool(os.environ.get("SHORT"))

_OWE = """
WITH chats AS (
    INSERT INTO delivery_chat (telegram_id, telegram_key, kind, reachability, next_slot_at)
    SELECT 'plain:' || %(first)s + n, key, 'private', 'ok', '2000-01-01Z'
      FROM unnest(%(keys)s::uuid[]) WITH ORDINALITY AS k (key, n)
    RETURNING id, telegram_id),
agreed AS (
    INSERT INTO delivery_consent (chat_id, category, granted, changed_at, source)
    SELECT id, '', true, now(), 'test' FROM chats)
INSERT INTO nurture_deliveries
    (chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason, due_at,
     run_at, window_days, window_zone, leased_by, fence, withdrawal, attempts, deaths, last_error,
     is_test, diverted)
SELECT id, 'stream:', 1, 100, '', 'fault:' || telegram_id, 'Hello', '[]', 'pending', '', now(),
       now(), 127, '', '', 0, '', 0, 0, '', false, false
  FROM chats
"""


def owe(count: int, *, first: int = 0) -> None:
    """So many messages, due now, each to a chat of its own: first + 1, first + 2, …"""
    ensure_pacing()
    ensure_stream("")
    made = Chat._meta.get_field("telegram_key").made
    keys = [made(first + number) for number in range(1, count + 1)]
    with connection.cursor() as cursor:
        cursor.execute(_OWE, {"keys": keys, "first": first})
        cursor.execute("ANALYZE nurture_deliveries, delivery_chat")


def one_chat_has(count: int) -> int:
    """Give so many of the messages to one chat; return its number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE nurture_deliveries SET chat_id = (SELECT min(id) FROM delivery_chat)"
            " WHERE id IN (SELECT id FROM nurture_deliveries ORDER BY id LIMIT %s)",
            [count],
        )
    return Chat.objects.values_list("telegram_id", flat=True).earliest("pk")


def states() -> Counter[str]:
    """How many deliveries are in which state."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT status, count(*) FROM nurture_deliveries GROUP BY status")
        return Counter(dict(cursor.fetchall()))


def settled(workers: Forks, **options: Any) -> None:
    """Let one worker after the other drain until nothing is owed or in flight."""
    deadline = time.monotonic() + 90  # of healing: what was on the wire waits for its lease
    while (found := states())["pending"] + found["leased"] + found["sending"]:
        assert time.monotonic() < deadline, found
        assert workers.drain(**options) == 0


def assert_kept(receiver: Receiver, *, owed: int, unknown: int) -> None:
    """Nothing is lost, nothing is doubled, and at most so many cannot be known.

    The receiver counts by itself: whoever is called sent did arrive, whoever did not arrive is
    called unknown.
    """
    found = states()
    assert set(found) <= {"sent", "unknown"}, found
    assert found.total() == owed
    assert found["unknown"] <= unknown
    assert max(receiver.arrived.values()) == 1
    arrived = set(receiver.arrived)
    rows = Delivery.objects.values_list("status", "chat__telegram_id")
    assert [chat for status, chat in rows if status == "sent" and chat not in arrived] == []
    assert audit.examine() == []
