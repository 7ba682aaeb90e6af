"""What is owed in a bench of the sender: rows of its own, and the processes that work on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import OperationalError, connection

from tests.e2e.commands import environment, running, telegram_at
from tests.integration.delivery.receiver import Receiver, receiving

#: Rows like those of `owe`, to the chats there are: far away, or behind another stream.
_MORE = """
INSERT INTO nurture_deliveries
    (chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason, due_at,
     run_at, window_days, window_zone, leased_by, fence, withdrawal, attempts, deaths, last_error,
     is_test, diverted)
SELECT c.first + n %% least(c.count, %(chats)s), %(stream)s, 1, 100, '', %(stream)s || %(at)s || n,
       'Hello', '[]', 'pending', '', now() + %(at)s::interval, now() + %(at)s::interval, 127, '',
       '', 0, '', 0, 0, '', false, false
  FROM generate_series(1, %(count)s) n,
       (SELECT min(id) AS first, count(*) FROM delivery_chat WHERE id > %(after)s) c
"""
_STRANGERS = """
WITH last AS (SELECT max(id) AS id FROM delivery_chat),
more AS (
    INSERT INTO delivery_chat (telegram_id, telegram_key, kind, reachability, next_slot_at)
    SELECT 'plain:' || (10000000 + n), gen_random_uuid(), 'private', 'ok', '2000-01-01Z'
      FROM generate_series(1, %(count)s) n)
SELECT id FROM last
"""
_PLAN = """
UPDATE nurture_deliveries d SET due_at = p.at, run_at = p.at
  FROM delivery_chat c, unnest(%(chats)s::bigint[], %(ats)s::timestamptz[]) AS p(chat, at)
 WHERE c.id = d.chat_id AND c.telegram_id = 'plain:' || p.chat
"""


def empty() -> None:
    """Owe nothing to nobody. Who is at work meanwhile may lock them in another order: anew then."""
    for left in reversed(range(5)):
        try:
            with connection.cursor() as cursor:
                cursor.execute("TRUNCATE nurture_deliveries, delivery_chat, delivery_gate CASCADE")
            return
        except OperationalError:
            if not left:
                raise


def fill(count: int, *, stream: str, at: str, chats: int = 1_000_000, theirs: bool = True) -> None:
    """So many more, due at an interval from now, spread over the first `chats` chats.

    Not `theirs`: they are for as many chats that had nothing yet.
    """
    values: dict[str, int | str] = {"count": count, "stream": stream, "at": at, "chats": chats}
    with connection.cursor() as cursor:
        values["after"] = 0
        if not theirs:
            cursor.execute(_STRANGERS, values)
            (values["after"],) = cursor.fetchone()
        cursor.execute(_MORE, values)
        cursor.execute("VACUUM ANALYZE nurture_deliveries")


def plan(chats: Sequence[int], ats: Sequence[datetime]) -> None:
    """Move what is owed to these chats to these moments."""
    with connection.cursor() as cursor:
        cursor.execute(_PLAN, {"chats": [*chats], "ats": [*ats]})


@contextmanager
def at_work(receiver: Receiver) -> Iterator[Receiver]:
    """A worker and a clock that send to the receiver, as in production; ended after the block."""
    with receiving(receiver):
        env = environment(
            **telegram_at(
                receiver.url, TELEGRAM_SENDS_PER_SECOND="25", REDIS_URL=settings.REDIS_URL
            )
        )
        worker = running("rundramatiq", "--processes", "1", "--threads", "8", env=env)
        with worker, running("runclock", env=env):
            yield receiver
