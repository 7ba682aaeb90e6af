"""What was wrong, whom it was told, and when nobody wanted to hear of it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from nurture.domain.alerts import Code, Severity, Tell


class AlertEpisode(models.Model):
    """One thing that was wrong for a while: seen, opened, told, gone, resolved (domain/alerts.py).

    `words` are told outside, so they name nobody. A row that was never opened goes again.
    """

    code = models.CharField(max_length=32, choices=[(code.value, code.value) for code in Code])
    subject = models.CharField(max_length=120, blank=True, default="")
    severity = models.CharField(max_length=8, choices=[(s.value, s.value) for s in Severity])
    words = models.CharField(max_length=300)
    seen_since = models.DateTimeField()
    opened_at = models.DateTimeField(null=True, blank=True)
    gone_since = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "alert"
        constraints = [
            # Also read by each look: what stands now.
            models.UniqueConstraint(
                fields=["code", "subject"],
                condition=Q(resolved_at__isnull=True),
                name="nurture_alertepisode_once",
            ),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True) | Q(opened_at__isnull=False),
                name="nurture_alertepisode_opened_first",
            ),
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}: {self.code} {self.subject}".rstrip()


class AlertNotice(models.Model):
    """One word about an alert to one receiver; written with the change of which it tells.

    `next_at` is when it may be tried (again); whoever tries it moves that on first, so that two
    clocks do not both tell, and a clock that died is followed by another.
    """

    episode = models.ForeignKey(AlertEpisode, models.CASCADE, related_name="notices")
    channel = models.CharField(max_length=16)
    kind = models.CharField(
        max_length=8, choices=[(kind.value, kind.value) for kind in Tell if kind]
    )
    number = models.PositiveSmallIntegerField(default=0)  # of those that repeat
    created_at = models.DateTimeField()
    next_at = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        verbose_name = "notice"
        constraints = [
            models.UniqueConstraint(
                fields=["episode", "channel", "kind", "number"], name="nurture_alertnotice_once"
            ),
        ]
        indexes = [
            # Read by each look: what is still to be told.
            models.Index(
                fields=["next_at"],
                condition=Q(sent_at__isnull=True),
                name="nurture_alertnotice_unsent",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of alert {self.episode_id} to {self.channel}"


class AlertSilence(models.Model):
    """A span in which nobody is told; alerts come and go, and are kept."""

    since = models.DateTimeField()
    until = models.DateTimeField()  # moved back where somebody ends it early
    reason = models.CharField(max_length=200, blank=True, default="")
    by = models.CharField(max_length=150)

    class Meta:
        verbose_name = "silence"
        constraints = [
            models.CheckConstraint(
                condition=Q(until__gte=F("since")), name="nurture_alertsilence_period"
            ),
        ]
        indexes = [
            # Read by each look, and by the overview.
            models.Index(fields=["until"], name="nurture_alertsilence_until"),
        ]

    def __str__(self) -> str:
        return f"silence {self.pk} until {self.until:%Y-%m-%d %H:%M}"
