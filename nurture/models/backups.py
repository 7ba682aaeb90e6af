"""When data was last made safe, and when somebody last saw that it can be brought back."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class BackupRun(models.Model):
    """A backup into the storage, or the rehearsal of a restore; failed ones say why."""

    BACKUP, REHEARSAL = "backup", "rehearsal"

    kind = models.CharField(max_length=10, choices=[(k, k) for k in (BACKUP, REHEARSAL)])
    file = models.CharField(max_length=200, blank=True, default="")
    rows = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0, help_text="bytes")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        verbose_name = "backup or rehearsal"
        verbose_name_plural = "backups and rehearsals"
        constraints = [
            models.CheckConstraint(
                condition=Q(finished_at__isnull=True) | Q(finished_at__gte=F("started_at")),
                name="nurture_backuprun_period",
            ),
        ]
        indexes = [
            # Read by the timetable, doctor and go/no-go: the newest of a kind.
            models.Index(fields=["kind", "-started_at"], name="nurture_backuprun_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
