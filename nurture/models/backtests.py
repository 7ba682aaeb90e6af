"""Backtests that staff asked for, and what came of them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from nurture.models.sequences import Sequence


class BacktestRun(models.Model):
    """One or two versions over recorded weeks.

    Of learners only row numbers are kept in `result`: no address, and no text that names somebody.
    Versions are told by number and checksum, for a draft may be replaced.
    """

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="backtests")
    version = models.PositiveIntegerField()
    against = models.PositiveIntegerField(null=True, blank=True)
    since = models.DateTimeField()
    until = models.DateTimeField()
    asked_by = models.CharField(max_length=150)
    asked_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")
    result = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(since__lt=F("until")), name="nurture_backtestrun_period"
            ),
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(started_at__isnull=False),
                name="nurture_backtestrun_begins_first",
            ),
        ]

    def __str__(self) -> str:
        return f"backtest {self.pk} of sequence {self.sequence_id}"
