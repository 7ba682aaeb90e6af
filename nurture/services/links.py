"""Bind a Telegram chat to a learner by a link that only they were given."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from attendance.models import Learner
from delivery import services as delivery
from delivery.models import Chat
from delivery.services.installation import arm
from nurture.models import Contact, LinkToken, StaffTask, TaskKind

LIFE = timedelta(days=7)
_BYTES = (
    16  # 22 characters; Telegram allows 64: https://core.telegram.org/bots/features#deep-linking
)


@dataclass(frozen=True, kw_only=True)
class AskIsThisYou:
    """The link is good: ask the person whether they are `name`. The answer names `link_id`."""

    name: str
    link_id: int


@dataclass(frozen=True, kw_only=True)
class Linked:
    """The chat now belongs to the learner, or did already."""

    contact: Contact


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Nothing was bound. `reason`: unknown_link, used, expired, conflict, not_me, nothing_asked."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """What is handed to a learner; the token in it is known to nobody else."""

    address: str
    expires_at: datetime


class NotInvitedError(RuntimeError):
    """No link was made, and why."""


def invite(*, learner: Learner, bot: str, now: datetime) -> Invitation:
    """Make the address that binds a chat to a learner; `bot` is its name at Telegram, without @.

    Earlier ones stay good. Raises NotInvitedError in a database that does not send, whose links
    would lead to a bot that does not know them, and where nothing is left of the learner.
    """
    if problem := arm(now=now):
        raise NotInvitedError(problem)
    if learner.erased_at is not None:
        raise NotInvitedError("everything personal of this learner was erased")
    token = create(learner=learner, now=now)
    return Invitation(address=f"https://t.me/{bot}?start={token}", expires_at=now + LIFE)


def create(*, learner: Learner, now: datetime) -> str:
    """Make a link token for a learner: good once, for seven days. Only its hash is kept."""
    token = base64.urlsafe_b64encode(secrets.token_bytes(_BYTES)).rstrip(b"=").decode()
    LinkToken.objects.create(
        learner=learner, token_hash=_hash(token), created_at=now, expires_at=now + LIFE
    )
    return token


@transaction.atomic
def open_link(*, token: str, chat: Chat, now: datetime) -> AskIsThisYou | Linked | Refused:
    """Somebody followed a link: note which chat is to be asked, and bind nothing yet.

    Links get forwarded, so the person has to say that it is them. A chat that belongs to the
    learner already is `Linked`. Safe to run twice.
    """
    row = _locked(token_hash=_hash(token))
    if row is None:
        return Refused(reason="unknown_link")
    contact = _contact(row.learner)
    if contact.chat_id == chat.pk:
        return Linked(contact=contact)
    if problem := _problem(row, now):
        return Refused(reason=problem)
    if _conflicts(contact, chat):
        return _conflict(contact, chat, now)
    LinkToken.objects.filter(asked_chat=chat).exclude(pk=row.pk).update(asked_chat=None)
    row.asked_chat = chat
    row.save(update_fields=["asked_chat"])
    return AskIsThisYou(name=row.learner.name.strip().partition(" ")[0], link_id=row.pk)


@transaction.atomic
def confirm(*, chat: Chat, link_id: int, yes: bool, now: datetime) -> Linked | Refused:
    """The answer to "Is this you?". Yes binds the chat, uses the link up and is consent.

    It counts for the link that was asked about, and only while no other was followed since. A chat
    of somebody else, or a learner with another chat, changes nothing and is given to staff. Safe
    to run twice: a second Yes finds the chat bound.
    """
    row = _locked(pk=link_id, asked_chat=chat)
    if row is None or (row.used_at is not None and not yes):
        return Refused(reason="nothing_asked")
    if row.used_at is not None:
        bound = Contact.objects.filter(chat=chat, learner=row.learner).first()
        return Linked(contact=bound) if bound else Refused(reason="nothing_asked")
    if not yes:
        row.asked_chat = None
        row.save(update_fields=["asked_chat"])
        return Refused(reason="not_me")
    if problem := _problem(row, now):
        return Refused(reason=problem)
    Chat.objects.select_for_update(no_key=True).get(pk=chat.pk)
    contact = _contact(row.learner)
    if _conflicts(contact, chat):
        return _conflict(contact, chat, now)
    contact.chat = chat
    contact.save(update_fields=["chat"])
    row.used_at = now
    row.save(update_fields=["used_at"])
    delivery.set_consent(
        chat=chat,
        category=delivery.DEFAULT_CATEGORY,
        granted=True,
        source="link",
        now=now,
    )
    delivery.snooze(chat=chat, until=None)  # whoever had the chat before may have wanted silence
    return Linked(contact=contact)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _locked(**which: object) -> LinkToken | None:
    rows = LinkToken.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("learner").filter(**which).order_by("-id").first()


def _contact(learner: Learner) -> Contact:
    """The learner's contact, made if need be, held until the transaction ends."""
    Contact.objects.get_or_create(learner=learner)
    return Contact.objects.select_for_update(no_key=True).get(learner=learner)


def _problem(row: LinkToken, now: datetime) -> str:
    if row.used_at is not None:
        return "used"
    return "expired" if row.expires_at <= now else ""


def _conflicts(contact: Contact, chat: Chat) -> bool:
    """Whether one of the two belongs to somebody else."""
    elsewhere = Contact.objects.filter(chat=chat).exclude(pk=contact.pk).exists()
    # One whose id was lost with its key leads to nobody: who has the link takes its place.
    own = contact.chat_id if contact.chat and contact.chat.telegram_id else None
    return elsewhere or own not in {None, chat.pk}


def _conflict(contact: Contact, chat: Chat, now: datetime) -> Refused:
    StaffTask.objects.bulk_create(
        [
            StaffTask(
                kind=TaskKind.LINK_CONFLICT,
                key=f"link_conflict:{contact.learner_id}:{chat.pk}",
                learner_id=contact.learner_id,
                note=(
                    f"Chat {chat.pk} followed this learner's link, but one of the two is linked "
                    "to another. Nothing was changed. Ask the learner, then unlink the wrong one."
                ),
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    return Refused(reason="conflict")
