"""Take everything personal out of a chat and what it got; the rows stay, so that totals do."""

from __future__ import annotations

import json
import re
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet

from delivery import selectors
from delivery.domain.again import AGAIN
from delivery.domain.reasons import Reason
from delivery.models import Attempt, Chat, Consent, Delivery, InboundUpdate, Reachability
from delivery.services.archive import scrub_archive
from delivery.services.deliveries import cancel_all

#: Ids below this one are ours: Telegram's have at most 52 bits.
NOBODY = -(2**62)


@transaction.atomic
def forget_chat(*, chat: Chat, now: datetime, last_reply: bool = False) -> dict[str, int]:
    """Erase what is known of a chat; return how many rows of each kind were scrubbed.

    What is owed is cancelled, consent is over, texts and updates are emptied. The chat's id goes,
    too, and with it the way to write there; with `last_reply` it stays until the reply that is
    owed after this call has come to its end, for an hour at most (`forget_leaving`). Safe to run
    twice.
    """
    row = Chat.objects.select_for_update(no_key=True).get(pk=chat.pk)
    done = scrub(deliveries=Delivery.objects.filter(chat=row))
    done["archived"] = scrub_archive(chat_ids=[row.pk])
    Consent.objects.filter(chat=row, granted=True).update(
        granted=False, changed_at=now, source="erased"
    )
    if row.telegram_id <= NOBODY:
        return done
    if not last_reply:
        return {**done, **_cut(row, now)}
    done["updates"] = _scrub_updates(row)
    row.leaving_at, row.snoozed_until = now, None
    row.save(update_fields=["leaving_at", "snoozed_until"])
    return {**done, "chats": 1}


def scrub(*, deliveries: QuerySet[Delivery]) -> dict[str, int]:
    """Withdraw what is owed of these deliveries and empty all of them. Safe to run twice.

    What is on the wire just now cannot be called back; it is not tried again.
    """
    cancel_all(deliveries, reason=Reason.ERASED)
    deliveries.filter(status__in=AGAIN).update(withdrawal=Reason.ERASED.value)
    tries = Attempt.objects.filter(delivery__in=deliveries).exclude(description="")
    return {
        "attempts": tries.update(description=""),
        "deliveries": deliveries.exclude(text="").update(
            text="", buttons=[], last_error="", window_opens=None, window_closes=None,
            window_zone="",  # where they live
        ),
    }  # fmt: skip


def _scrub_updates(chat: Chat) -> int:
    """What they wrote and pressed; what waits to be handled is left to its turn."""
    handled = InboundUpdate.objects.filter(handled_at__isnull=False)
    # Updates that name a person but belong to no chat that we know; they are rare.
    named = re.compile(rf"\b{chat.telegram_id}\b")
    elsewhere = [
        row.pk
        for row in handled.filter(chat_key=None).iterator()
        if chat.telegram_id and named.search(json.dumps(row.payload))
    ]
    theirs = handled.filter(Q(chat_key=chat.telegram_key) | Q(pk__in=elsewhere))
    return theirs.update(payload={}, error="")


def forget_leaving(*, now: datetime) -> int:
    """Erase the ids of chats whose last reply has come to its end; return how many.

    Safe to run twice, and in many processes: each chat is one transaction.
    """
    return sum(_forget_leaving(pk, now) for pk in selectors.leaving(now=now).values_list("pk"))


@transaction.atomic
def _forget_leaving(key: tuple[int], now: datetime) -> int:
    rows = selectors.leaving(now=now).filter(pk=key[0])
    row = rows.select_for_update(no_key=True, skip_locked=True).first()
    if row is None:
        return 0
    scrub(deliveries=Delivery.objects.filter(chat=row))
    return _cut(row, now)["chats"]


def _cut(chat: Chat, now: datetime) -> dict[str, int]:
    """Replace the id by a number that names nobody; what they sent last is not heard any more."""
    nobody, theirs = NOBODY - chat.pk, InboundUpdate.objects.filter(chat_key=chat.telegram_key)
    theirs.filter(handled_at__isnull=True).update(handled_at=now)
    updates = _scrub_updates(chat)
    theirs.update(chat_key=nobody)
    chat.telegram_id, chat.reachability = nobody, Reachability.GONE.value
    chat.reachability_changed_at, chat.leaving_at, chat.snoozed_until = now, None, None
    chat.save(
        update_fields=[
            "telegram_id", "telegram_key", "reachability", "reachability_changed_at", "leaving_at",
            "snoozed_until",
        ]
    )  # fmt: skip
    return {"updates": updates, "chats": 1}
