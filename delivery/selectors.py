"""What others may ask of delivery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from delivery.domain.states import UNSENT, Status
from delivery.models import (
    DRY_STREAMS,
    ArchivedDelivery,
    Chat,
    Consent,
    Delivery,
    Gate,
    InboundUpdate,
    Installation,
    Lane,
    Process,
    Scope,
)

#: The category of replies that show somebody their own data.
OWN_DATA = "own data"
#: How long the last reply to somebody who left may take; then it is given up.
LAST_REPLY = timedelta(hours=1)

# Asked each second, so each part must end at its index. A bare EXISTS lets the planner hope for an
# early hit and scan the table (300,000 pending, none due: 98 ms); the first in the index's order
# cannot. run_at is never before due_at.
_HAS_DUE = """
SELECT EXISTS (
    SELECT FROM delivery_gate s
     CROSS JOIN LATERAL (
        SELECT d.id FROM nurture_deliveries d
         WHERE d.stream = s.key AND d.status = 'pending' AND d.lane = 1
           AND d.due_at <= (SELECT telbot_now()) AND d.run_at <= (SELECT telbot_now())
         ORDER BY d.due_at, d.run_at, d.id LIMIT 1) x
     WHERE s.scope = 'stream' AND s.closed_until <= (SELECT clock_timestamp()))
    OR EXISTS (SELECT FROM nurture_deliveries d
                WHERE d.status = 'pending' AND d.lane = 0 AND d.run_at <= (SELECT telbot_now()))
    OR EXISTS (SELECT FROM nurture_deliveries d
                WHERE d.status IN ('leased', 'sending')
                  AND d.lease_until < (SELECT clock_timestamp()))
    OR coalesce((SELECT d.expires_at FROM nurture_deliveries d
                  WHERE d.status = 'pending' AND d.expires_at IS NOT NULL
                  ORDER BY d.expires_at LIMIT 1) <= telbot_now(), false)
    OR EXISTS (SELECT FROM nurture_deliveries d
                WHERE d.status = 'unknown' AND d.settled_at IS NULL
                  AND d.intent_at < (SELECT clock_timestamp()) - interval '15 minutes')
    OR EXISTS (SELECT FROM delivery_gate b
                WHERE b.key = 'bot:breaker' AND b.closed_by = 'sender'
                  AND b.closed_until > (SELECT clock_timestamp())
                  AND b.updated_at < (SELECT clock_timestamp()) - interval '15 seconds')
"""

# A delivery by its key, wherever it is; for a LATERAL or a join by `id`. The archive is looked into
# only for what is not in the table itself.
ANYWHERE = """(
    SELECT id, chat_id, stream, status, reason, is_test, run_at, intent_at, sent_at, settled_at
      FROM nurture_deliveries
     UNION ALL
    SELECT id, chat_id, stream, status, reason, is_test, run_at, intent_at, sent_at, settled_at
      FROM delivery_archive)"""

# How many of what waits are counted; more are "more than".
COUNTED = 10_000

# Each part ends at the index of the claim, and counts no further than COUNTED.
_QUEUES = """
SELECT s.key, s.scope, s.closed_until > clock_timestamp(), s.reason, s.closed_by, s.updated_at,
       n.due, n.oldest
  FROM delivery_gate s
 CROSS JOIN LATERAL (
    SELECT count(*) AS due, min(x.due_at) AS oldest
      FROM (SELECT d.due_at FROM nurture_deliveries d
             WHERE d.stream = s.key AND d.status = 'pending' AND d.lane = 1
               AND d.due_at <= (SELECT telbot_now()) AND d.run_at <= (SELECT telbot_now())
             ORDER BY d.due_at, d.run_at, d.id LIMIT 10001) x) n
 WHERE NOT starts_with(s.key, 'stream:dry:')
 UNION ALL
SELECT 'replies', 'stream', false, '', '', NULL, count(*), min(x.due_at)
  FROM (SELECT d.due_at FROM nurture_deliveries d
         WHERE d.status = 'pending' AND d.lane = 0
           AND d.due_at <= (SELECT telbot_now()) AND d.run_at <= (SELECT telbot_now())
         ORDER BY d.due_at, d.run_at, d.id LIMIT 10001) x
 ORDER BY 1
"""

# What came to its end, hour by hour, and what learners said of themselves.
_BY_HOUR = """
SELECT date_trunc('hour', d.settled_at, 'UTC') AS hour, d.status, d.reason, count(*)
  FROM nurture_deliveries d
 WHERE d.settled_at >= %(since)s AND d.settled_at < %(until)s AND d.settled_at IS NOT NULL
   AND NOT d.is_test
 GROUP BY 1, 2, 3
 UNION ALL
SELECT date_trunc('hour', u.received_at, 'UTC'), 'heard', '', count(*)
  FROM delivery_inboundupdate u
 WHERE u.received_at >= %(since)s AND u.received_at < %(until)s
   AND u.is_answer
 GROUP BY 1
"""

# One row for each kind of process that was ever seen, or one without. Minutes of the last seven
# days, which begin with a whole hour; a minute without a beat counts as down since the first one.
_STANDING = """
SELECT (SELECT count(*) FROM (SELECT FROM nurture_deliveries
                               WHERE status = 'unknown' LIMIT 10001) x),
       (SELECT count(*) FROM (SELECT FROM nurture_deliveries WHERE status = 'dead' LIMIT 10001) x),
       (SELECT count(*) FROM (SELECT reason FROM nurture_deliveries
                               WHERE status = 'dead' LIMIT 10001) x WHERE x.reason = 'poison')
       + (SELECT count(*)
            FROM (SELECT tries, handled_at FROM delivery_inboundupdate
                   ORDER BY id DESC LIMIT 1000) x
           WHERE x.tries >= 3 AND x.handled_at > telbot_now() - interval '1 day'),
       (SELECT min(received_at) FROM delivery_inboundupdate
         WHERE handled_at IS NULL AND tries < 3),
       EXISTS (SELECT FROM (SELECT outcome FROM delivery_attempt ORDER BY id DESC LIMIT 1000) x
                WHERE x.outcome = 'sent'),
       coalesce((SELECT bot_username FROM delivery_installation LIMIT 1), ''),
       (SELECT received_at FROM delivery_inboundupdate ORDER BY id DESC LIMIT 1),
       p.name, p.seen_at, extract(epoch FROM clock_timestamp() - p.seen_at)::float, p.minutes,
       greatest(p.minutes,
                ceil(extract(epoch FROM clock_timestamp() - greatest(p.first_at, p.since)) / 60)
                ::int)
  FROM (SELECT) one
  LEFT JOIN (
    SELECT k.name, f.first_at, l.seen_at, w.since, coalesce(m.minutes, 0) AS minutes
      FROM unnest(%(names)s::text[]) AS k (name)
     CROSS JOIN (SELECT date_trunc('hour', clock_timestamp(), 'UTC') - interval '7 days') w (since)
     CROSS JOIN LATERAL (SELECT h.first_at FROM delivery_heartbeat h
                          WHERE h.name = k.name ORDER BY h.hour LIMIT 1) f
     CROSS JOIN LATERAL (SELECT h.seen_at FROM delivery_heartbeat h
                          WHERE h.name = k.name ORDER BY h.hour DESC LIMIT 1) l
     CROSS JOIN LATERAL (SELECT sum(h.minutes)::int AS minutes FROM delivery_heartbeat h
                          WHERE h.name = k.name AND h.hour >= w.since) m) p ON true
 ORDER BY p.name
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """A gate and what is due behind it; a row of its own for the replies, which have none."""

    key: str
    scope: str  # models.Scope
    closed: bool
    reason: str  # why it is closed
    closed_by: str
    updated_at: datetime | None
    due: int  # at most COUNTED + 1, which means more
    oldest: datetime | None  # when the first of them was due


@dataclass(frozen=True, slots=True)
class Alive:
    """When a kind of process was seen last, and in how many minutes of the last seven days."""

    seen_at: datetime
    seconds_ago: float
    minutes: int
    of: int  # minutes since it was first seen, at most those of seven days


@dataclass(frozen=True, slots=True)
class Standing:
    """How delivery stands, as far as a few rows tell."""

    unknown: int  # both at most COUNTED + 1, which means more
    dead: int
    has_sent: bool  # among the last tries is one that arrived
    bot_username: str
    heard_at: datetime | None
    processes: dict[str, Alive]  # by models.Process; what was never seen is not there
    poison: int = 0  # deliveries that killed workers; updates of a day that nobody could handle
    waiting_since: datetime | None = None  # the oldest update that is still to be handled


def has_due() -> bool:
    """Whether a sender would find something to do now."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_DUE)
        found: bool = cursor.fetchone()[0]
    return found


def delivery(pk: int) -> Delivery:
    """One delivery, from the archive as it was. Raises Delivery.DoesNotExist."""
    row = Delivery.objects.filter(pk=pk).first()
    if row is not None:
        return row
    past = ArchivedDelivery.objects.filter(pk=pk).first()
    if past is None:
        raise Delivery.DoesNotExist(f"no delivery {pk}, nor one in the archive")
    return as_it_was(past)


def as_it_was(row: ArchivedDelivery) -> Delivery:
    """A delivery of the archive as a Delivery, for reading: its table does not have it any more."""
    kept = {field.column: getattr(row, field.attname) for field in row._meta.concrete_fields}
    values = row.rest | kept
    return Delivery(
        **{
            field.attname: field.to_python(values[field.column])
            for field in Delivery._meta.concrete_fields
            if field.column in values
        }
    )


def room_at(row: Delivery, *, now: datetime) -> datetime | None:
    """When the daily cap of a delivery has room for it again; None where it has room now."""
    if row.cap_per_day is None:
        return None
    said = Delivery.objects.filter(
        chat=row.chat_id, lane=Lane.BULK, is_test=False, status__in=[Status.SENT, Status.UNKNOWN]
    ).annotate(at=Coalesce("sent_at", "intent_at"))
    day = timedelta(hours=24)
    newest = said.filter(at__gt=now - day).order_by("-at").values_list("at", flat=True)
    times = list(newest[: row.cap_per_day])
    at: datetime | None = times[-1] + day if len(times) == row.cap_per_day else None
    return at


def has_updates(*, now: datetime) -> bool:
    """Whether an update of Telegram waits to be handled, or the id of somebody who left is due."""
    waiting = InboundUpdate.objects.filter(handled_at__isnull=True, tries__lt=3)
    return waiting.exists() or leaving(now=now).exists()


def leaving(*, now: datetime) -> QuerySet[Chat]:
    """Chats whose id may be erased: the last reply has come to its end, or an hour is over."""
    said = Delivery.objects.filter(chat=OuterRef("pk"), settled_at__isnull=True)
    heard = InboundUpdate.objects.filter(chat_key=OuterRef("telegram_key"), handled_at__isnull=True)
    return Chat.objects.filter(leaving_at__isnull=False).filter(
        Q(leaving_at__lte=now - LAST_REPLY) | (~Exists(said) & ~Exists(heard))
    )


def closed_gates() -> list[Gate]:
    """Every gate that holds something back now; a dry run holds back nothing."""
    closed = Gate.objects.filter(closed_until__gt=Now()).exclude(key__startswith=DRY_STREAMS)
    return list(closed.order_by("key"))


def blocking_gates() -> list[Gate]:
    """The gates that hold back everything now."""
    return [gate for gate in closed_gates() if gate.scope == Scope.BOT]


def count_by_status() -> Counter[str]:
    """How many deliveries are in which state."""
    rows = Delivery.objects.values_list("status").annotate(n=Count("pk")).order_by()
    return Counter(dict(rows))


def next_owed(*, chat: Chat) -> Delivery | None:
    """What a chat will get next, of what sequences owe it."""
    rows = Delivery.objects.filter(chat=chat, lane=Lane.BULK, status__in=UNSENT, is_test=False)
    return rows.order_by("run_at", "due_at", "id").first()


def is_held(row: Delivery) -> bool:
    """Whether a closed gate holds back what a sequence owes, though it may be due."""
    return any(gate.scope == Scope.BOT or gate.key == row.stream_id for gate in closed_gates())


def last_sent(*, chat: Chat) -> Delivery | None:
    """What a chat got last, of what sequences owed it."""
    rows = Delivery.objects.filter(
        chat=chat, lane=Lane.BULK, status=Status.SENT, sent_at__isnull=False, is_test=False
    )
    return rows.order_by("-sent_at", "-id").first()


def replies_owed(*, chat: Chat, category: str) -> int:
    """How many replies of a category are still to go out to a chat."""
    rows = Delivery.objects.filter(chat=chat, lane=Lane.REPLY, settled_at__isnull=True)
    return rows.filter(category=category).count()


def stored_about(*, chats: Iterable[int]) -> dict[str, Any]:
    """Everything stored about these chats (ids of rows) as plain values, newest first.

    What somebody was sent of their own data is only counted, else it would grow with each look.
    Moments are datetimes in UTC.
    """
    rows = list(Chat.objects.filter(pk__in=set(chats)).order_by("pk"))
    consents = Consent.objects.filter(chat__in=rows).order_by("pk")
    deliveries = Delivery.objects.filter(chat__in=rows)
    archived = ArchivedDelivery.objects.filter(chat__in=rows)
    updates = InboundUpdate.objects.filter(chat_key__in=[row.telegram_key for row in rows])
    return {
        "chats": [
            {
                "id": row.telegram_id,
                "reachability": row.reachability,
                "snoozed_until": row.snoozed_until,
                "since": row.created_at,
            }
            for row in rows
        ],
        "consents": [
            {"category": row.category, "granted": row.granted, "changed": row.changed_at}
            for row in consents
        ],
        "deliveries": [
            {
                "text": row.text,
                "buttons": [label for line in row.buttons for label, _ in line],
                "status": row.status,
                "reason": row.reason,
                "sequence": row.stream_id.removeprefix("stream:"),
                "due": row.due_at,
                "sent": row.sent_at,
            }
            for row in (
                *deliveries.exclude(category=OWN_DATA).order_by("-pk"),
                *map(as_it_was, archived.exclude(category=OWN_DATA).order_by("-pk")),
            )
        ],
        "own_data_messages": deliveries.filter(category=OWN_DATA).count()
        + archived.filter(category=OWN_DATA).count(),
        "said": [{"at": row.received_at, **_said(row.payload)} for row in updates.order_by("-pk")],
    }


def _said(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody wrote or pressed, and under which names Telegram told us of them."""
    message, press = payload.get("message") or {}, payload.get("callback_query") or {}
    who = message.get("from") or press.get("from") or {}
    return {
        "text": message.get("text", ""),
        "pressed": press.get("data", ""),
        "as": {
            key: who[key]
            for key in ("first_name", "last_name", "username", "language_code")
            if key in who
        },
    }


def bot_username() -> str:
    """The name under which learners find the bot, without @; empty while nobody asked Telegram."""
    return Installation.objects.values_list("bot_username", flat=True).first() or ""


def queues() -> list[Queue]:
    """Every gate with what is due behind it, as the database's clock says, and the replies.

    The gates of the bot hold back all, and of their own nothing. Those of dry runs are not here:
    nothing behind them is ever owed.
    """
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES)
        return [Queue(*row) for row in cursor.fetchall()]


def by_hour(*, since: datetime, until: datetime) -> list[tuple[datetime, str, str, int]]:
    """What happened in [since, until): hour (UTC), what, its reason, how often.

    What is the status of a delivery that came to its end in that hour, or `heard`: a learner wrote
    or pressed something. Tests do not count.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BY_HOUR, {"since": since, "until": until})
        return list(cursor.fetchall())


def standing() -> Standing:
    """What needs a person, what is known of the bot, and who is alive, in one cheap statement.

    When processes were seen is real time, never simulated.
    """
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"names": Process.values})
        rows = cursor.fetchall()
    alive = {row[7]: Alive(*row[8:]) for row in rows if row[7]}
    unknown, dead, poison, waiting_since, has_sent, bot, heard_at = rows[0][:7]
    return Standing(unknown, dead, has_sent, bot, heard_at, alive, poison, waiting_since)
