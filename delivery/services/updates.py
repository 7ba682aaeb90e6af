"""Updates from Telegram: stored first, then handled once each, in order within a chat."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string

from config import telemetry
from config.sealed import DamagedError, SealedError
from delivery.inbound import Inbound, InboundButton, InboundHandler, InboundMembership
from delivery.models import Chat, Delivery, InboundUpdate, Lane, Reachability
from delivery.services.chats import know_again, meet_chat, set_reachability
from delivery.services.deliveries import enqueue, resolve_by_evidence
from delivery.telegram import UnreadableUpdateError, parse_update

log = logging.getLogger(__name__)

MAX_TRIES = 3
REPLY_LIFE = timedelta(days=1)  # a later answer to somebody's own action only confuses
#: Who sends more within a minute is heard but not answered: a chat gets one message a second, and
#: nobody may talk the bot's rate away from others.
ANSWERED_A_MINUTE = 30
LOCK_CLASS = 0x7E1B  # first key of the advisory locks that keep a chat's updates in order
_MAX_BIGINT = 2**63
_KINDS_WITH_CHAT = ("message", "my_chat_member")


class MalformedUpdateError(ValueError):
    """Not an update; nothing was stored."""


@dataclass(frozen=True, kw_only=True)
class Press:
    """A pressed button whose waiting sign must end; `message_id` where its buttons are used up."""

    callback_id: str
    chat_id: int
    message_id: int | None


@dataclass
class Handled:
    """What one pass over the waiting updates came to."""

    handled: int = 0
    failed: int = 0
    replies: int = 0
    presses: list[Press] = field(default_factory=list)


def store_updates(*, payloads: Iterable[Mapping[str, Any]], now: datetime) -> int:
    """Store updates that are not known yet, in the order given; return how many were new.

    Safe to run twice: `update_id` is unique. Raises MalformedUpdateError where one has no usable
    id; nothing is stored then.
    """
    rows = [_row(payload, now) for payload in payloads]
    with transaction.atomic():
        known = set(
            InboundUpdate.objects.filter(update_id__in=[row.update_id for row in rows]).values_list(
                "update_id", flat=True
            )
        )
        fresh = {row.update_id: row for row in rows if row.update_id not in known}
        InboundUpdate.objects.bulk_create(fresh.values(), ignore_conflicts=True)
    return len(fresh)


def _row(payload: Mapping[str, Any], now: datetime) -> InboundUpdate:
    update_id = payload.get("update_id")
    if not isinstance(update_id, int) or isinstance(update_id, bool):
        raise MalformedUpdateError("an update has a number as update_id")
    if not 0 <= update_id < _MAX_BIGINT:
        raise MalformedUpdateError("the update_id is out of range")
    return InboundUpdate(
        update_id=update_id,
        chat_key=_chat_key(payload),
        payload=_storable(payload),
        is_answer=_is_answer(payload),
        received_at=now,
    )


def _is_answer(payload: Mapping[str, Any]) -> bool:
    """Whether somebody said something of themselves: a word or a button, but no command."""
    if "callback_query" in payload:
        return True
    message = payload.get("message")
    text = message.get("text") if isinstance(message, Mapping) else None
    return "message" in payload and not str(text or "").startswith("/")


def _chat_key(payload: Mapping[str, Any]) -> int | None:
    """The chat an update belongs to, as far as it can be told without understanding it."""
    content = payload.get("callback_query")
    if isinstance(content, Mapping):
        content = content.get("message") or {"chat": content.get("from")}
    else:
        content = next((payload[kind] for kind in _KINDS_WITH_CHAT if kind in payload), None)
    chat = content.get("chat") if isinstance(content, Mapping) else None
    key = chat.get("id") if isinstance(chat, Mapping) else None
    return key if isinstance(key, int) and -_MAX_BIGINT <= key < _MAX_BIGINT else None


def _storable(value: Any) -> Any:
    """The same value without what PostgreSQL's jsonb refuses: NUL and lone surrogates."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(key): _storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value


def handle_waiting(*, now: datetime, limit: int = 100) -> Handled:
    """Handle up to `limit` waiting updates, oldest first; several processes may do so at once.

    Each update is one transaction: what the handler writes, its replies and the mark "handled"
    commit together. An error keeps the update for a later pass, three times at most; until then
    it holds back its own chat only. Call it outside a transaction. Raises SealedError where a key
    is missing; nothing counts as tried then.
    """
    done = Handled()
    waiting = InboundUpdate.objects.filter(handled_at__isnull=True).order_by("id")
    held: set[UUID | None] = set()  # chats with a failure or another process at work
    for pk, chat_key in list(waiting.values_list("id", "chat_key")[:limit]):
        if chat_key in held:
            continue
        with telemetry.bound(update_id=pk):
            if not _handle_if_free(pk, chat_key, now, done):
                held.add(chat_key)
    return done


def _handle_if_free(pk: int, chat_key: UUID | None, now: datetime, done: Handled) -> bool:
    """Handle one update unless another process has its chat; False holds the chat back."""
    inbound: Inbound | None = None
    try:
        with transaction.atomic():
            if not _lock_chat(chat_key):
                return False
            update = _next_of_chat(chat_key)
            if update is None or update.pk != pk:
                return update is None or update.pk > pk  # done by somebody else meanwhile
            inbound = parse_update(update.payload)
            if inbound is not None:
                inbound, replies = _handle(inbound, now)
                done.replies += replies
            InboundUpdate.objects.filter(pk=pk).update(handled_at=now, error="")
    except UnreadableUpdateError as error:
        _give_up(pk, error, now)  # trying again would not make it readable
        done.failed += 1
        return True
    except Exception as error:
        if isinstance(error, SealedError) and not isinstance(error, DamagedError):
            raise  # a key is missing here, which is no fault of the update
        log.exception("updates.handler_failed")
        done.failed += 1
        return _note_failure(pk, error, now)
    done.handled += 1
    if isinstance(inbound, InboundButton):
        used_up = inbound.message_id if inbound.delivery_id is not None else None
        done.presses.append(
            Press(callback_id=inbound.callback_id, chat_id=inbound.chat_id, message_id=used_up)
        )
    return True


def _lock_chat(chat_key: UUID | None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_try_advisory_xact_lock(%s, hashtext(%s))", [LOCK_CLASS, str(chat_key)]
        )
        return bool(cursor.fetchone()[0])


def _next_of_chat(chat_key: UUID | None) -> InboundUpdate | None:
    waiting = InboundUpdate.objects.filter(handled_at__isnull=True, chat_key=chat_key)
    return waiting.order_by("id").select_for_update(no_key=True).first()


def _handle(inbound: Inbound, now: datetime) -> tuple[Inbound, int]:
    """Note what the update proves, let the handler act, owe its replies; return how many."""
    if isinstance(inbound, InboundMembership):
        chat = _membership(inbound, now)
    else:
        chat = meet_chat(telegram_id=inbound.chat_id, now=now)
    if isinstance(inbound, InboundButton):
        inbound = _with_evidence(inbound, chat)
    handler = cast(InboundHandler, import_string(settings.DELIVERY_INBOUND_HANDLER))
    replies = handler(inbound, now=now)
    if replies and _sends_too_much(inbound.chat_id, now):
        log.warning("updates.not_answered")
        replies = ()
    for number, reply in enumerate(replies):
        if chat is not None:
            enqueue(
                chat=chat,
                text=reply.text,
                dedupe_key=f"reply:{inbound.update_id}:{number}",
                due_at=now,
                expires_at=now + REPLY_LIFE,
                buttons=reply.buttons,
                lane=Lane.REPLY,
                category=reply.category,
            )
    return inbound, len(replies) if chat is not None else 0


def _sends_too_much(chat_id: int, now: datetime) -> bool:
    recent = InboundUpdate.objects.filter(
        chat_key=chat_id, received_at__gt=now - timedelta(minutes=1)
    )
    return recent.count() > ANSWERED_A_MINUTE


def _membership(inbound: InboundMembership, now: datetime) -> Chat | None:
    """Blocked or let in again. A chat that we never met stays unmet."""
    chat = Chat.objects.filter(telegram_id=inbound.chat_id).first()
    if chat is not None:
        know_again(chat=chat, telegram_id=inbound.chat_id)
        kicked = inbound.status in {"kicked", "left"}
        reachability = Reachability.BLOCKED if kicked else Reachability.OK
        set_reachability(chat=chat, reachability=reachability, now=now)
    return chat


def _with_evidence(inbound: InboundButton, chat: Chat | None) -> InboundButton:
    """A press proves that its delivery arrived. A delivery of another chat is a forgery."""
    delivery_id = inbound.delivery_id
    if delivery_id is None or not Delivery.objects.filter(pk=delivery_id, chat=chat).exists():
        return replace(inbound, delivery_id=None)
    resolve_by_evidence(delivery_id=delivery_id)
    return inbound


def _note_failure(pk: int, error: Exception, now: datetime) -> bool:
    """Count a failed try; return whether the chat may go on (this update was given up)."""
    with transaction.atomic():
        rows = InboundUpdate.objects.select_for_update(no_key=True).defer("payload")
        update = rows.get(pk=pk)
        update.tries += 1
        update.error = f"{type(error).__name__}; try {update.tries} of {MAX_TRIES}"
        if update.tries >= MAX_TRIES:
            update.handled_at = now
        update.save(update_fields=["tries", "error", "handled_at"])
    return update.tries >= MAX_TRIES


def _give_up(pk: int, error: Exception, now: datetime) -> None:
    InboundUpdate.objects.filter(pk=pk).update(handled_at=now, error=str(error)[:300])
