"""Deliveries of the past, a partition for each month: read, erased, dropped by the month."""

from __future__ import annotations

from django.db import models

from delivery.models.chats import Chat
from delivery.models.deliveries import Lane


class ArchivedDelivery(models.Model):
    """A delivery that came to its end long ago, under the key it always had.

    Columns of their own have what somebody reads by; `rest` has every other column as it was, and
    `tries` its attempts. Nothing points here by a constraint, so that a month can be dropped.
    """

    id = models.BigIntegerField(primary_key=True)
    chat = models.ForeignKey(
        Chat, models.DO_NOTHING, db_constraint=False, db_index=False, related_name="archived"
    )
    dedupe_key = models.CharField(max_length=200)
    stream = models.CharField(max_length=80)
    category = models.CharField(max_length=64, blank=True, default="")
    lane = models.SmallIntegerField(choices=Lane)
    is_test = models.BooleanField()
    status = models.CharField(max_length=10)
    reason = models.CharField(max_length=32, blank=True, default="")
    text = models.TextField()
    buttons = models.JSONField(default=list, blank=True)
    due_at = models.DateTimeField()
    run_at = models.DateTimeField()
    intent_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField()
    rest = models.JSONField(default=dict)
    tries = models.JSONField(default=list)

    class Meta:
        db_table = "delivery_archive"
        verbose_name = "delivery in the archive"
        verbose_name_plural = "deliveries in the archive"
        default_permissions = ("view",)
        indexes = [
            # Read by the list, newest first.
            models.Index(fields=["settled_at", "id"], name="delivery_archive_order"),
            # Read whenever something is owed: was it owed before?
            models.Index(fields=["dedupe_key"], name="delivery_archive_key"),
            # Read by the learner's page, by export and erasure.
            models.Index(fields=["chat", "settled_at"], name="delivery_archive_of_chat"),
        ]

    def __str__(self) -> str:
        return f"archived delivery {self.pk}"
