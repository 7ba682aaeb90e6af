"""What is done by the clock: its state, its runs, and what the nightly audit found."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class Job(models.Model):
    """One line of the timetable, as far as it changes; config/jobs.py says what it does.

    A bell has no hour: the clock looks every few seconds whether there is work, and rings. All
    else is claimed here, by one process at a time, for as long as its lease.
    """

    name = models.CharField(primary_key=True, max_length=40)
    does = models.CharField(max_length=200)
    every_seconds = models.FloatField(null=True, blank=True)  # of a bell: how often it looks
    hour = models.PositiveSmallIntegerField(null=True, blank=True)  # local, of TIME_ZONE
    weekday = models.PositiveSmallIntegerField(null=True, blank=True)  # 0 = Monday; null: each day
    next_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveSmallIntegerField(default=0)  # that came to nothing since the last good
    wanted_at = models.DateTimeField(null=True, blank=True)
    wanted_by = models.CharField(max_length=150, blank=True, default="")
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True, default="")
    paused_why = models.CharField(max_length=200, blank=True, default="")
    looked_at = models.DateTimeField(null=True, blank=True)  # of a bell, noted now and then
    rang_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(hour__isnull=True) ^ Q(every_seconds__isnull=True),
                name="nurture_job_bell_or_hour",
            ),
            models.CheckConstraint(
                condition=Q(hour__isnull=True) ^ Q(next_at__isnull=False), name="nurture_job_next"
            ),
            models.CheckConstraint(
                condition=Q(hour__isnull=True) | Q(hour__lte=23), name="nurture_job_hour"
            ),
            models.CheckConstraint(
                condition=Q(weekday__isnull=True) | Q(weekday__lte=6), name="nurture_job_weekday"
            ),
        ]

    def __str__(self) -> str:
        return f"job {self.name}"

    @property
    def is_bell(self) -> bool:
        """Whether it is always on."""
        return self.hour is None


class RunOutcome(models.TextChoices):
    """How a run ended; empty while it runs."""

    RUNNING = "", "running"
    DONE = "done", "done"
    FAILED = "failed", "failed"
    DIED = "died", "broken off"


class JobRun(models.Model):
    """One run of a job. What it counted has no personal data, nor has its error."""

    job = models.ForeignKey(Job, models.CASCADE, related_name="runs")
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=8, choices=RunOutcome, blank=True, default="")
    error = models.CharField(max_length=120, blank=True, default="")
    counts = models.JSONField(default=dict, blank=True)
    by = models.CharField(max_length=150, blank=True, default="")  # who asked; empty: the clock

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome="") ^ Q(finished_at__isnull=False),
                name="nurture_jobrun_ended_has_time",
            ),
            # One at a time, whatever the leases say.
            models.UniqueConstraint(
                fields=["job"], condition=Q(outcome=""), name="nurture_jobrun_one_under_way"
            ),
        ]
        indexes = [
            # Read by the list of jobs: the last run of each.
            models.Index(fields=["job", "-started_at"], name="nurture_jobrun_last"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk} of job {self.job_id}"


class AuditFinding(models.Model):
    """A row that breaks an invariant, from the audit that found it until one that does not."""

    rule = models.CharField(max_length=40)
    says = models.CharField(max_length=200)
    about = models.CharField(max_length=60)  # app.model of the row
    row = models.BigIntegerField()
    found_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # by the last audit that found it
    gone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # Also read by the list and by alerts: what is open.
            models.UniqueConstraint(
                fields=["rule", "row"],
                condition=Q(gone_at__isnull=True),
                name="nurture_auditfinding_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"finding {self.pk}: {self.rule}"
