"""Chats: whom we may write to, and what they agreed to."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from delivery.domain.reasons import Reason
from delivery.domain.states import Status
from delivery.models import BusinessNow, Chat, ChatKind, Consent, Delivery, Lane, Reachability
from delivery.services.deliveries import cancel_all

DEFAULT_CATEGORY = ""


@transaction.atomic
def register_chat(*, telegram_id: int, reachability: str = Reachability.OK) -> Chat:
    """Return the chat of this Telegram id, made reachable and consenting if it is new.

    A chat that is known keeps what it said: registering again never undoes a /stop or a block.
    """
    chat, _ = Chat.objects.get_or_create(
        telegram_id=telegram_id,
        defaults={"kind": ChatKind.of(telegram_id), "reachability": reachability},
    )
    know_again(chat=chat, telegram_id=telegram_id)
    if not chat.consents.exists():
        Consent.objects.bulk_create(
            [
                Consent(
                    chat=chat,
                    category=DEFAULT_CATEGORY,
                    granted=True,
                    changed_at=chat.created_at,
                    source="registered",
                )
            ],
            ignore_conflicts=True,
        )
    return chat


@transaction.atomic
def register_chats(*, telegram_ids: Iterable[int], source: str, now: datetime) -> dict[int, Chat]:
    """Return the chats of these Telegram ids, consenting unless they ever said something else.

    A constant number of statements, however many they are. A consent once withdrawn stays
    withdrawn. Safe to run twice.
    """
    wanted = sorted(set(telegram_ids))
    Chat.objects.bulk_create(
        [Chat(telegram_id=pk, kind=ChatKind.of(pk)) for pk in wanted], ignore_conflicts=True
    )
    ids = {Chat.sealed_id(pk)[1]: pk for pk in wanted}
    chats = {ids[row.telegram_key]: row for row in Chat.objects.filter(telegram_id__in=wanted)}
    for telegram_id, chat in chats.items():
        know_again(chat=chat, telegram_id=telegram_id)
    Consent.objects.bulk_create(
        [
            Consent(
                chat=chats[pk],
                category=DEFAULT_CATEGORY,
                granted=True,
                changed_at=now,
                source=source,
            )
            for pk in wanted
        ],
        ignore_conflicts=True,
    )
    return chats


@transaction.atomic
def meet_chat(*, telegram_id: int, now: datetime) -> Chat:
    """Return the chat of somebody who wrote to us: reachable, but nothing agreed to by that.

    Safe to run twice.
    """
    chat, _ = Chat.objects.get_or_create(
        telegram_id=telegram_id, defaults={"kind": ChatKind.of(telegram_id)}
    )
    know_again(chat=chat, telegram_id=telegram_id)
    set_reachability(chat=chat, reachability=Reachability.OK, now=now)
    return chat


def know_again(*, chat: Chat, telegram_id: int) -> None:
    """Put back an id that was lost with its key: its hash has recognised it. Safe to run twice."""
    if chat.telegram_id == 0:
        chat.telegram_id = telegram_id
        if chat.reachability == Reachability.GONE:
            chat.reachability = Reachability.OK
        chat.save(update_fields=["telegram_id", "reachability"])


def lose_ids(*, chats: Iterable[int], now: datetime) -> int:
    """The ids of these chats are lost: nobody can be written to there until they are known again.

    What is owed to them ends as unreachable when its time comes. Safe to run twice.
    """
    open_ones = Chat.objects.filter(pk__in=list(chats), reachability=Reachability.OK)
    return open_ones.update(reachability=Reachability.GONE, reachability_changed_at=now)


def set_reachability(*, chat: Chat, reachability: str, now: datetime) -> bool:
    """Record whether Telegram lets us write (not consent); return whether that is news."""
    changed = Chat.objects.filter(pk=chat.pk).exclude(reachability=reachability)
    news = bool(changed.update(reachability=reachability, reachability_changed_at=now))
    chat.reachability = reachability
    return news


@transaction.atomic
def set_consent(*, chat: Chat, category: str, granted: bool, source: str, now: datetime) -> Consent:
    """Record what a chat agrees to.

    The category "" is the default. Withdrawing it withdraws every category, and cancels what is
    owed to the chat and not yet on the wire, in this transaction. Safe to run twice.
    """
    consent, _ = Consent.objects.update_or_create(
        chat=chat,
        category=category,
        defaults={"granted": granted, "changed_at": now, "source": source},
    )
    if granted:
        Chat.objects.filter(pk=chat.pk).update(leaving_at=None)  # linked anew before they had left
        return consent
    owed = Delivery.objects.filter(chat=chat, lane=1)
    if category == DEFAULT_CATEGORY:
        Consent.objects.filter(chat=chat, granted=True).update(
            granted=False, changed_at=now, source=source
        )
    else:
        owed = owed.filter(category=category)
    cancel_all(owed, reason=Reason.OPTED_OUT)
    return consent


def has_consent(*, chat: Chat, category: str) -> bool:
    """Whether a chat agreed to a category; the default category answers where it said nothing."""
    said = dict(
        Consent.objects.filter(chat=chat, category__in={category, DEFAULT_CATEGORY}).values_list(
            "category", "granted"
        )
    )
    return said.get(category, said.get(DEFAULT_CATEGORY, False))


def snooze(*, chat: Chat, until: datetime | None) -> None:
    """Hold what is owed to a chat until a moment (UTC), or no longer (None). Safe to run twice.

    What was put off until the end of an earlier snooze is looked at again at once.
    """
    chat.snoozed_until = until
    Chat.objects.filter(pk=chat.pk).update(snoozed_until=until)
    put_off = Delivery.objects.filter(chat=chat, lane=Lane.BULK, status=Status.PENDING)
    put_off.filter(due_at__lte=BusinessNow(), run_at__gt=BusinessNow()).update(run_at=BusinessNow())
