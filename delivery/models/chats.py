"""Whom we may write to: chats and what they agreed to."""

from __future__ import annotations

from uuid import UUID

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from config.sealed.box import box
from config.sealed.fields import KeyedHash, SealedInteger

#: Equal ids have equal hashes in every table.
TELEGRAM = "telegram"
_SEALED_AS = "chat.telegram_id"


class Reachability(models.TextChoices):
    """Whether Telegram would let us write; not whether the learner wants it (that is consent)."""

    OK = "ok", "reachable"
    NEVER_STARTED = "never_started", "never pressed Start"
    BLOCKED = "blocked", "blocked the bot"
    DEACTIVATED = "deactivated", "account deactivated"
    GONE = "gone", "chat not found"


class ChatKind(models.TextChoices):
    """Groups have slower limits than private chats."""

    PRIVATE = "private", "private"
    GROUP = "group", "group"

    @classmethod
    def of(cls, telegram_id: int) -> ChatKind:
        """Groups and channels have ids below zero: https://core.telegram.org/bots/api#chat"""
        return cls.GROUP if telegram_id < 0 else cls.PRIVATE


class Chat(models.Model):
    """One Telegram chat. Its pace is kept here, in real time: `next_slot_at`."""

    telegram_id = SealedInteger(purpose=_SEALED_AS, beside="telegram_key")
    telegram_key = KeyedHash(of="telegram_id", purpose=TELEGRAM, unique=True, editable=False)
    kind = models.CharField(max_length=8, choices=ChatKind, default=ChatKind.PRIVATE)
    reachability = models.CharField(max_length=16, choices=Reachability, default=Reachability.OK)
    reachability_changed_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(null=True, blank=True)
    next_slot_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())
    # Everything else of theirs is erased; the id goes when the last reply has come to its end.
    leaving_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(reachability__in=Reachability.values), name="delivery_chat_reachability"
            ),
        ]
        indexes = [
            # Read by the block rate: who has blocked the bot of late.
            models.Index(
                fields=["reachability_changed_at"],
                condition=Q(reachability=Reachability.BLOCKED),
                name="delivery_chat_blocked_at",
            ),
            # Read each second by the clock: whose id is still to be erased.
            models.Index(
                fields=["leaving_at"],
                condition=Q(leaving_at__isnull=False),
                name="delivery_chat_leaving",
            ),
        ]

    def __str__(self) -> str:
        return f"chat {self.pk}"

    @staticmethod
    def opened_id(stored: str) -> int:
        """The Telegram id that a query of our own has read; 0 if lost. Raises SealedError."""
        return int(box().open(stored, _SEALED_AS) or 0)

    @staticmethod
    def sealed_id(telegram_id: int) -> tuple[str, UUID]:
        """The two columns of a Telegram id, for a statement of our own."""
        text = str(telegram_id)
        return box().seal(text, _SEALED_AS), box().hashed(text, TELEGRAM)


class Consent(models.Model):
    """Whether a chat agreed to a category.

    The category "" is the default: it answers for every category without a row of its own.
    """

    chat = models.ForeignKey(Chat, models.CASCADE, related_name="consents")
    category = models.CharField(max_length=64, blank=True, default="")
    granted = models.BooleanField()
    changed_at = models.DateTimeField()
    source = models.CharField(max_length=32)

    class Meta:
        constraints = [
            # Also read by the intent: the answer of one chat for one category.
            models.UniqueConstraint(fields=["chat", "category"], name="delivery_consent_one"),
        ]
        indexes = [
            # Read by the block rate: who has said stop of late.
            models.Index(
                fields=["changed_at"],
                condition=Q(granted=False),
                name="delivery_consent_withdrawn",
            ),
        ]

    def __str__(self) -> str:
        return f"consent {self.pk} of chat {self.chat_id}"
