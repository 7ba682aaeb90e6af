"""What may be closed: the bot as a whole, and each stream of deliveries."""

from __future__ import annotations

from datetime import UTC, datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

# Open: long past. Closed until somebody opens it: far ahead. Not ±infinity, which psycopg
# cannot turn into a datetime.
OPEN = datetime(2000, 1, 1, tzinfo=UTC)
UNTIL_OPENED = datetime(2999, 1, 1, tzinfo=UTC)

#: The streams of what is only pretended: closed for ever, and never sent.
DRY_STREAMS = "stream:dry:"


class Scope(models.TextChoices):
    """What a closed gate holds back."""

    BOT = "bot", "every delivery"
    STREAM = "stream", "one stream"


class Gate(models.Model):
    """A gate holds deliveries back until `closed_until` (real clock).

    The row `bot` also paces: `next_slot_at` and `rate` are the GCRA of bulk, and the row
    `bot:reply` has those of replies. Every stream has a row, since the claim goes through the
    open streams.
    """

    key = models.CharField(primary_key=True, max_length=80)
    scope = models.CharField(max_length=8, choices=Scope)
    closed_until = models.DateTimeField(default=OPEN)
    reason = models.CharField(max_length=200, blank=True, default="")
    closed_by = models.CharField(max_length=150, blank=True, default="")
    next_slot_at = models.DateTimeField(default=OPEN)
    rate = models.FloatField(default=0)
    rate_changed_at = models.DateTimeField(default=OPEN)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(scope__in=Scope.values), name="delivery_gate_scope"),
            models.CheckConstraint(condition=Q(rate__gte=0), name="delivery_gate_rate"),
        ]

    def __str__(self) -> str:
        return self.key


class Installation(models.Model):
    """Which database this is. A cloned or restored one does not match and sends nothing."""

    singleton = models.BooleanField(primary_key=True, default=True)
    environment = models.CharField(max_length=16)
    bot_id = models.BigIntegerField(null=True, blank=True)
    bot_username = models.CharField(max_length=64, blank=True, default="")  # as getMe said last
    system_identifier = models.CharField(max_length=32)
    armed_at = models.DateTimeField()
    simulated_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(singleton=True), name="delivery_installation_one"),
        ]

    def __str__(self) -> str:
        return f"installation in {self.environment}"
