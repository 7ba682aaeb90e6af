"""What is owed to whom, and each try to give it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from config.sealed.fields import KeyedHash, SealedJSON
from config.telemetry import TRACE_LENGTH
from delivery.domain.states import ENDS, IN_FLIGHT, Status
from delivery.models.chats import TELEGRAM, Chat
from delivery.models.gates import Gate

_STATUSES = [(status.value, status.value) for status in Status]
_ENDS = sorted(status.value for status in ENDS)
_IN_FLIGHT = sorted(status.value for status in IN_FLIGHT)


class Lane(models.IntegerChoices):
    """Replies to a learner's own action never wait behind bulk."""

    REPLY = 0, "reply"
    BULK = 1, "bulk"


class Delivery(models.Model):
    """One text for one chat, once. Changes only by the guarded statements in queries.py.

    `due_at` is what was planned and orders the queue; retries and put-offs move `run_at`.
    `fence` rises with each lease, so that a stalled worker cannot write over its successor.
    """

    chat = models.ForeignKey(Chat, models.PROTECT, db_index=False, related_name="deliveries")
    stream = models.ForeignKey(
        Gate, models.PROTECT, db_column="stream", db_index=False, related_name="+"
    )
    lane = models.SmallIntegerField(choices=Lane, default=Lane.BULK)
    priority = models.PositiveSmallIntegerField(default=100)
    category = models.CharField(max_length=64, blank=True, default="")
    dedupe_key = models.CharField(max_length=200)
    text = models.TextField()
    buttons = models.JSONField(default=list, blank=True)
    status = models.CharField(max_length=10, choices=_STATUSES, default=Status.PENDING)
    reason = models.CharField(max_length=32, blank=True, default="")

    due_at = models.DateTimeField()
    run_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    window_opens = models.TimeField(null=True, blank=True)
    window_closes = models.TimeField(null=True, blank=True)
    window_days = models.PositiveSmallIntegerField(default=127)  # bit 0 = Monday
    window_zone = models.CharField(max_length=64, blank=True, default="")
    cap_per_day = models.PositiveSmallIntegerField(null=True, blank=True)
    cap_defers = models.BooleanField(default=False, db_default=False)  # else it is dropped

    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.CharField(max_length=80, blank=True, default="")
    fence = models.PositiveIntegerField(default=0)
    withdrawal = models.CharField(max_length=32, blank=True, default="")  # came while on the wire
    slot_at = models.DateTimeField(null=True, blank=True)
    intent_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    deaths = models.PositiveSmallIntegerField(default=0)  # workers that died while they held it

    message_id = models.BigIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, default="")
    is_test = models.BooleanField(default=False)
    diverted = models.BooleanField(default=False)  # went to the sandbox inbox instead of Telegram
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    observed_at = models.DateTimeField(null=True, blank=True)
    #: Of what this came, as a traceparent; empty where traces are off.
    trace = models.CharField(max_length=TRACE_LENGTH, blank=True, default="", db_default="")

    class Meta:
        db_table = "nurture_deliveries"
        verbose_name_plural = "deliveries"
        # Each state change writes every index anew, so there is none that another one covers.
        constraints = [
            models.UniqueConstraint(fields=["dedupe_key"], name="delivery_delivery_once"),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in Status]),
                name="delivery_delivery_status",
            ),
            models.CheckConstraint(
                condition=~Q(status__in=[s for s in _ENDS if s != Status.SENT]) | ~Q(reason=""),
                name="delivery_delivery_end_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(status__in=_IN_FLIGHT) ^ Q(lease_until__isnull=True),
                name="delivery_delivery_in_flight_leased",
            ),
            models.CheckConstraint(
                # An unknown settles when its quarantine is over: an answer may still come.
                condition=Q(status=Status.UNKNOWN)
                | (Q(status__in=_ENDS) ^ Q(settled_at__isnull=True)),
                name="delivery_delivery_end_is_settled",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENT) | Q(sent_at__isnull=False),
                name="delivery_delivery_sent_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status=Status.SENDING) | Q(intent_at__isnull=False),
                name="delivery_delivery_intent_first",
            ),
            models.CheckConstraint(
                condition=(Q(window_opens__isnull=True) & Q(window_closes__isnull=True))
                | (
                    Q(window_opens__isnull=False)
                    & Q(window_closes__isnull=False)
                    & ~Q(window_zone="")
                ),
                name="delivery_delivery_window_whole",
            ),
            models.CheckConstraint(
                condition=Q(window_days__gte=1) & Q(window_days__lte=127),
                name="delivery_delivery_window_days",
            ),
            models.CheckConstraint(
                condition=Q(lane__in=Lane.values), name="delivery_delivery_lane"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__isnull=True) | Q(expires_at__gte=F("due_at")),
                name="delivery_delivery_expires_after_due",
            ),
        ]
        indexes = [
            # Read by the claim: whom a message would overtake in its chat. All that it looks at
            # stands in the index, so a chat with much behind a closed stream costs little.
            models.Index(
                fields=["chat", "due_at", "priority", "id"],
                include=["lane", "stream", "run_at"],
                condition=Q(status=Status.PENDING),
                name="delivery_chat_order",
            ),
            # Read by the claim: the oldest due of each open stream. run_at is tested inside the
            # index, so rows that were put off cost nothing at the head.
            models.Index(
                fields=["stream", "due_at", "run_at", "id"],
                condition=Q(status=Status.PENDING, lane=Lane.BULK),
                name="delivery_due_bulk",
            ),
            # Read by the claim of replies.
            models.Index(
                fields=["due_at", "run_at", "id"],
                condition=Q(status=Status.PENDING, lane=Lane.REPLY),
                name="delivery_due_reply",
            ),
            # Read by the claim: is another delivery of this chat in flight?
            models.Index(
                fields=["chat"], condition=Q(status__in=_IN_FLIGHT), name="delivery_in_flight"
            ),
            # Read by the rescue of leases whose worker died.
            models.Index(
                fields=["lease_until"], condition=Q(status__in=_IN_FLIGHT), name="delivery_lease"
            ),
            # Read by the sweep of what expired before it could go out.
            models.Index(
                fields=["expires_at"],
                condition=Q(status=Status.PENDING, expires_at__isnull=False),
                name="delivery_expiry",
            ),
            # Read by the sweep that settles an unknown after its quarantine.
            models.Index(
                fields=["intent_at"],
                condition=Q(status=Status.UNKNOWN, settled_at__isnull=True),
                name="delivery_quarantine",
            ),
            # Read by nurture: settled and not yet taken note of.
            models.Index(
                fields=["settled_at", "id"],
                condition=Q(settled_at__isnull=False, observed_at__isnull=True),
                name="delivery_settled_unseen",
            ),
            # Read by the work queues of staff and by the lists of each such end. What is sent,
            # nearly all, is not in it.
            models.Index(
                fields=["status", "id"],
                condition=Q(status__in=[s for s in _ENDS if s != Status.SENT]),
                name="delivery_ended_unsent",
            ),
            # Read by the list of deliveries: tests, and what went to the sandbox inbox instead.
            models.Index(
                fields=["id"],
                condition=Q(is_test=True) | Q(diverted=True),
                name="delivery_set_apart",
            ),
            # Read by the list of deliveries, for a span of time. A few pages in all, and changes
            # of a row that leave due_at alone do not touch it.
            BrinIndex(
                fields=["due_at"], autosummarize=True, pages_per_range=16, name="delivery_due_brin"
            ),
            # Read by the figures of a day, which need no more than what is in it. A row enters with
            # its end, so claims and intents do not pay for it.
            models.Index(
                fields=["settled_at"],
                include=["status", "reason"],
                condition=Q(settled_at__isnull=False, is_test=False),
                name="delivery_settled_day",
            ),
            # Read by the daily cap in the intent, and by the learner's page.
            models.Index(fields=["chat", "sent_at"], name="delivery_chat_sent"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class _InState(models.Manager["Delivery"]):
    """Deliveries that stand as a work queue's do."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.status = status

    def get_queryset(self) -> models.QuerySet[Delivery]:
        """By the index of what ended unsent."""
        return super().get_queryset().filter(status=self.status)


class UnknownDelivery(Delivery):
    """The work queue of what cannot be known: a list of its own, no table."""

    objects: ClassVar[Any] = _InState(Status.UNKNOWN)

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "delivery that cannot be known"
        verbose_name_plural = "deliveries that cannot be known"


class DeadDelivery(Delivery):
    """The work queue of what was given up: a list of its own, no table."""

    objects: ClassVar[Any] = _InState(Status.DEAD)

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = "delivery that was given up"
        verbose_name_plural = "deliveries that were given up"


class AttemptOutcome(models.TextChoices):
    """How one try ended; empty while it runs."""

    OPEN = "", "open"
    SENT = "sent", "sent"
    REJECTED = "rejected", "rejected"
    NOT_SENT = "not_sent", "not sent"
    UNKNOWN = "unknown", "unknown"


class Attempt(models.Model):
    """One try, written before its first byte. Closed rows do not change (trigger)."""

    delivery = models.ForeignKey(Delivery, models.CASCADE, db_index=False, related_name="tries")
    fence = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(
        max_length=8, choices=AttemptOutcome, blank=True, default=AttemptOutcome.OPEN
    )
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_code = models.IntegerField(null=True, blank=True)
    description = models.CharField(max_length=300, blank=True, default="")
    retry_after = models.PositiveIntegerField(null=True, blank=True)
    message_id = models.BigIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["delivery", "fence"], name="delivery_attempt_one"),
            models.CheckConstraint(
                condition=Q(outcome="") ^ Q(finished_at__isnull=False),
                name="delivery_attempt_closed_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.fence} of delivery {self.delivery_id}"


class InboundUpdate(models.Model):
    """One update from Telegram, stored before it is handled; `update_id` makes it happen once."""

    update_id = models.BigIntegerField(unique=True)
    # Orders the updates of one chat; the same as its `telegram_key`. Null: of no chat.
    chat_key = KeyedHash(purpose=TELEGRAM, null=True, blank=True)
    payload = SealedJSON(purpose="update.payload")
    # A word or a button: what the figures of a day count, since they cannot look into the payload.
    is_answer = models.BooleanField(default=False, db_default=False)
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [
            # Read by the handler: what is not done, in order.
            models.Index(
                fields=["id"], condition=Q(handled_at__isnull=True), name="delivery_update_waiting"
            ),
            # Read by the condition `replied`: what a chat said last.
            models.Index(fields=["chat_key", "received_at"], name="delivery_update_of_chat"),
            # Read by the figures of a day. Updates are stored in the order of their time, so a
            # summary of each stretch of the table is enough, and costs next to nothing.
            BrinIndex(fields=["received_at"], autosummarize=True, name="delivery_update_day"),
        ]

    def __str__(self) -> str:
        return f"update {self.update_id}"
