"""What others may ask of delivery."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Count
from django.db.models.functions import Coalesce, Now

from delivery.domain.states import UNSENT, Status
from delivery.models import Chat, Delivery, Gate, InboundUpdate, Installation, Lane, Scope

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


def has_due() -> bool:
    """Whether a sender would find something to do now."""
    with connection.cursor() as cursor:
        cursor.execute(_HAS_DUE)
        found: bool = cursor.fetchone()[0]
    return found


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


def has_updates() -> bool:
    """Whether an update of Telegram waits to be handled."""
    return InboundUpdate.objects.filter(handled_at__isnull=True, tries__lt=3).exists()


def closed_gates() -> list[Gate]:
    """Every gate that holds something back now."""
    return list(Gate.objects.filter(closed_until__gt=Now()).order_by("key"))


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


def last_sent(*, chat: Chat) -> Delivery | None:
    """What a chat got last, of what sequences owed it."""
    rows = Delivery.objects.filter(
        chat=chat, lane=Lane.BULK, status=Status.SENT, sent_at__isnull=False, is_test=False
    )
    return rows.order_by("-sent_at", "-id").first()


def bot_username() -> str:
    """The name under which learners find the bot, without @; empty while nobody asked Telegram."""
    return Installation.objects.values_list("bot_username", flat=True).first() or ""
