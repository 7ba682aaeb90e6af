"""Close and open what holds deliveries back."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from delivery.models import DRY_STREAMS, OPEN, UNTIL_OPENED, Gate, Scope

BOT = "bot"  # pacing of bulk, and 429
REPLY = "bot:reply"  # pacing of replies
SWITCH = "bot:switch"  # staff said: nothing goes out
BREAKER = "bot:breaker"
TOKEN = "bot:token"  # noqa: S105 - the name of a gate, not a token
FENCE = "bot:fence"  # this database is not the one that was armed

# What is left of Telegram's 30 a second beside bulk: https://core.telegram.org/bots/faq
REPLIES_PER_SECOND = 3.0


def stream_key(slug: str) -> str:
    """The gate of a stream."""
    return f"stream:{slug}"


def dry_stream(slug: str) -> str:
    """The stream of what a sequence would say, for `draft` and `enqueue`: nothing of it is sent."""
    return f"dry:{slug}"


def ensure_stream(slug: str) -> str:
    """Make the stream's gate if there is none, and return its key. Safe to run twice."""
    key = stream_key(slug)
    ensure_streams([key])
    return key


def ensure_streams(keys: Iterable[str]) -> None:
    """The same for the gates of several streams, by their keys, in one statement."""
    Gate.objects.bulk_create([_stream(key) for key in sorted(keys)], ignore_conflicts=True)


def _stream(key: str) -> Gate:
    if key.startswith(DRY_STREAMS):
        return Gate(
            key=key, scope=Scope.STREAM, closed_until=UNTIL_OPENED,
            reason="a dry run: it is only pretended", closed_by="dry run",
        )  # fmt: skip
    return Gate(key=key, scope=Scope.STREAM)


def ensure_pacing() -> None:
    """Make the two rows that pace, and bring a changed setting into force. Safe to run twice."""
    rates = {BOT: settings.TELEGRAM_SENDS_PER_SECOND, REPLY: REPLIES_PER_SECOND}
    Gate.objects.bulk_create(
        [Gate(key=key, scope=Scope.BOT, rate=rate) for key, rate in rates.items()],
        ignore_conflicts=True,
    )
    # Raised to what is set only where no 429 lowered it meanwhile; see queries.RECOVER.
    Gate.objects.filter(key=BOT, rate__gt=settings.TELEGRAM_SENDS_PER_SECOND).update(
        rate=settings.TELEGRAM_SENDS_PER_SECOND
    )
    Gate.objects.filter(key=BOT, rate_changed_at=OPEN).exclude(
        rate=settings.TELEGRAM_SENDS_PER_SECOND
    ).update(rate=settings.TELEGRAM_SENDS_PER_SECOND)


@transaction.atomic
def close_gate(*, key: str, reason: str, by: str, until: datetime | None = None) -> Gate:
    """Hold back what is behind `key`: until a moment (real clock, UTC), or until it is opened.

    Closing again never shortens it. Takes effect with the caller's commit: the claim and the
    intent both look.
    """
    scope = Scope.STREAM if key.startswith("stream:") else Scope.BOT
    Gate.objects.bulk_create([Gate(key=key, scope=scope)], ignore_conflicts=True)
    gate = Gate.objects.select_for_update(no_key=True).get(key=key)
    gate.closed_until = max(gate.closed_until, until or UNTIL_OPENED)
    gate.reason, gate.closed_by = reason, by
    gate.save(update_fields=["closed_until", "reason", "closed_by"])
    Gate.objects.filter(key=key).update(updated_at=Now())
    return gate


@transaction.atomic
def open_gate(*, key: str, by: str) -> bool:
    """Let deliveries through again; return whether the gate was there. Safe to run twice.

    That of a dry run stays closed.
    """
    return not key.startswith(DRY_STREAMS) and bool(
        Gate.objects.filter(key=key).update(
            closed_until=OPEN, reason="", closed_by=by, updated_at=Now()
        )
    )
