"""What dry runs would have said, and what staff made of it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q

from delivery.models import Delivery
from nurture.domain.reasons import Reason
from nurture.models.journeys import Decision


class WouldSendManager(models.Manager["WouldSend"]):
    """Driven from the few journeys that pretend: deliveries are many, and have no index for it."""

    def get_queryset(self) -> models.QuerySet[WouldSend]:
        """Only what dry runs planned."""
        planned = Decision.objects.filter(journey__dry_run=True, code=Reason.STEP_PLANNED)
        return super().get_queryset().filter(pk__in=planned.values("delivery"))


class WouldSend(Delivery):
    """A message of a dry run: nobody heard it."""

    objects: ClassVar[WouldSendManager] = WouldSendManager()

    class Meta:
        proxy = True
        verbose_name = "message of a dry run"
        verbose_name_plural = "messages of dry runs"


class DryRunVerdict(models.Model):
    """A person let a message of a dry run go out after all, or discarded it."""

    delivery = models.OneToOneField(Delivery, models.CASCADE, related_name="dry_run_verdict")
    #: What was owed for it; empty where it was discarded.
    released_as = models.OneToOneField(
        Delivery, models.SET_NULL, null=True, blank=True, related_name="released_from"
    )
    released = models.BooleanField()
    at = models.DateTimeField()
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(released=True) | Q(released_as__isnull=True),
                name="nurture_dryrunverdict_discarded_owes_nothing",
            ),
        ]

    def __str__(self) -> str:
        return f"verdict {self.pk}: {'released' if self.released else 'discarded'}"
