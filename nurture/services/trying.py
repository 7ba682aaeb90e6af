"""A message tried out on staff: their chats, and tests that count nowhere (P22)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

import delivery.selectors
import delivery.services
from attendance.models import AttendanceEvent, Learner
from attendance.selectors import next_sessions
from delivery.models import Chat, Delivery
from nurture import context
from nurture.domain.schedule import zone_of
from nurture.models import Contact, StaffChat
from nurture.texts import SAMPLE

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PREFIX = "staff_"
LIFE = timedelta(minutes=30)
#: A test is looked at now or not at all.
USEFUL_FOR = timedelta(minutes=15)


@transaction.atomic
def offer_link(*, user: User, now: datetime) -> str:
    """What a member of staff hands to the bot (`/start …`) to link their own chat.

    Good once, for half an hour; an older one, and the chat linked before, are forgotten.
    """
    token = PREFIX + secrets.token_urlsafe(24)
    StaffChat.objects.update_or_create(
        user=user,
        defaults={"chat": None, "token_hash": _hash(token), "expires_at": now + LIFE},
    )
    return token


@transaction.atomic
def follow_link(*, token: str, chat: Chat, now: datetime) -> bool:
    """Bind a chat to the member of staff whose link this is; False where it is nobody's (any more).

    Safe to run twice: the chat stays bound.
    """
    row = (
        StaffChat.objects.select_for_update(no_key=True)
        .filter(token_hash=_hash(token), expires_at__gt=now, user__is_active=True)
        .first()
    )
    if row is None or row.chat_id not in {None, chat.pk}:
        return False
    row.chat = chat
    row.save(update_fields=["chat"])
    return True


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def staff_chats() -> QuerySet[StaffChat]:
    """The chats that a test may go to: linked, of staff who still work here, by name."""
    rows = StaffChat.objects.filter(chat__isnull=False, user__is_active=True, user__is_staff=True)
    return rows.select_related("user", "chat").order_by("user__username")


def send_test(
    *,
    to: StaffChat,
    text: str,
    buttons: Sequence[Sequence[Sequence[str]]],
    now: datetime,
) -> Delivery:
    """Owe a rendered text to a chat of staff, once per call.

    It is a test: no cap, window, consent, count or journey knows of it. Raises ValueError for a
    chat that is not linked; nothing is written then.
    """
    if to.chat is None:
        raise ValueError("this chat is not linked")
    return delivery.services.enqueue(
        chat=to.chat,
        text=text,
        buttons=buttons,
        dedupe_key=f"test:{secrets.token_hex(16)}",
        due_at=now,
        expires_at=now + USEFUL_FOR,
        is_test=True,
    )


def our_bot() -> str:
    """The bot's name as a text says it; that of the samples while Telegram has not told it."""
    return delivery.selectors.bot_username() or str(SAMPLE["bot_username"])


def variables_of(*, learner: Learner, now: datetime, language: str) -> Mapping[str, object]:
    """What a text would know of a learner if their last class had started the sequence now."""
    contact = Contact.objects.filter(learner=learner).first()
    facts = AttendanceEvent.objects.filter(learner=learner, session__isnull=False)
    cause = facts.select_related("session__course", "outcome").order_by("-id").first()
    session = cause.session if cause else None
    course = session.course if session else None
    following = next_sessions([course.pk], after=now).get(course.pk) if course else None
    zone = zone_of(
        contact.time_zone if contact else "",
        course.time_zone if course else "",
        settings.TIME_ZONE,
    )
    return context.variables(
        learner=learner, session=session, cause=cause, next_session=following, zone=zone,
        language=language or (contact.language if contact else ""), bot_username=our_bot(),
    )  # fmt: skip
