"""What Google said: sync runs, raw records, calls and the endpoints in them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from attendance.domain.kinds import (
    EndpointKind,
    MatchRule,
    RunKind,
    RunState,
    Source,
    StartSource,
)
from attendance.models.learners import Learner
from attendance.models.sessions import ClassSession


class SyncRun(models.Model):
    """One reading of one window [window_start_at, window_end_at) of one source."""

    source = models.CharField(max_length=10, choices=[(s.value, s.value) for s in Source])
    kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in RunKind])
    window_start_at = models.DateTimeField()
    window_end_at = models.DateTimeField()
    state = models.CharField(
        max_length=14,
        choices=[(s.value, s.value) for s in RunState],
        default=RunState.RUNNING.value,
    )
    pages = models.PositiveIntegerField(default=0)
    new_rows = models.PositiveIntegerField(default=0)
    duplicate_rows = models.PositiveIntegerField(default=0)
    ignored_rows = models.PositiveIntegerField(default=0)
    newest_event_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    # What kind of failure: google.Failure.
    failure = models.CharField(max_length=16, blank=True, default="", db_default="")
    # How late Google was of late, as known after this reading: percentiles over two weeks.
    lag_p50_seconds = models.PositiveIntegerField(null=True, blank=True)
    lag_p95_seconds = models.PositiveIntegerField(null=True, blank=True)
    lag_p99_seconds = models.PositiveIntegerField(null=True, blank=True)
    clock_skew_seconds = models.FloatField(null=True, blank=True)  # Google's clock minus ours
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "reading of Google"
        verbose_name_plural = "readings of Google"
        constraints = [
            models.CheckConstraint(
                condition=Q(source__in=[s.value for s in Source]), name="attendance_syncrun_source"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in RunKind]), name="attendance_syncrun_kind"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in RunState]), name="attendance_syncrun_state"
            ),
            models.CheckConstraint(
                condition=Q(window_end_at__gt=F("window_start_at")),
                name="attendance_syncrun_window",
            ),
            models.CheckConstraint(
                condition=Q(state="running") ^ Q(finished_at__isnull=False),
                name="attendance_syncrun_finished",
            ),
        ]
        indexes = [
            # Read by the settlement gate and by the choice of the next window.
            models.Index(
                fields=["source", "window_end_at"],
                condition=Q(state="complete"),
                name="attendance_syncrun_complete",
            ),
            # Read by the gate: how the newest reading of a source ended.
            models.Index(fields=["source", "-id"], name="attendance_syncrun_newest"),
        ]

    def __str__(self) -> str:
        return f"sync run {self.pk}: {self.source} {self.kind} {self.state}"


class Activity(models.Model):
    """One event of one record of Google's audit log, without address and place."""

    run = models.ForeignKey(SyncRun, models.PROTECT, related_name="activities")
    customer_id = models.CharField(max_length=64, blank=True, default="")
    application = models.CharField(max_length=32)
    event_time = models.DateTimeField()
    unique_qualifier = models.CharField(max_length=80)  # a signed number, or a hash of ours
    event_index = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=64)
    payload = models.JSONField()
    first_seen_at = models.DateTimeField()
    # How late Google was; only where we looked in time, so that our own gaps do not count.
    lag_seconds = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "activities"
        indexes = [
            # Read by the measured lag.
            models.Index(
                fields=["first_seen_at"],
                include=["lag_seconds"],
                condition=Q(lag_seconds__isnull=False),
                name="attendance_activity_lag",
            ),
        ]
        constraints = [
            # Google repeats records between pages and runs; this makes reading idempotent.
            models.UniqueConstraint(
                fields=[
                    "event_time",
                    "unique_qualifier",
                    "application",
                    "customer_id",
                    "event_index",
                ],
                name="attendance_activity_once",
            ),
        ]

    def __str__(self) -> str:
        return f"activity {self.pk}: {self.name} at {self.event_time:%Y-%m-%d %H:%M:%S}"


class Conference(models.Model):
    """One call."""

    conference_id = models.CharField(max_length=200, unique=True)
    meeting_code = models.CharField(max_length=64, blank=True, default="")  # normal form
    organizer_email = models.CharField(max_length=320, blank=True, default="")
    # Set with every change of the call, cleared by the matching that took notice of it.
    dirty_at = models.DateTimeField(null=True, blank=True)
    # Staff said which class it was, or that it was none; the matching leaves it alone.
    decided_by = models.CharField(max_length=150, blank=True, default="", db_default="")

    class Meta:
        indexes = [
            # Read by the matching of calls to classes; calls at rest are not in it.
            models.Index(
                fields=["dirty_at"],
                condition=Q(dirty_at__isnull=False),
                name="attendance_conference_dirty",
            ),
            # Read when a class with this code is new or has moved.
            models.Index(
                fields=["meeting_code"],
                condition=~Q(meeting_code=""),
                name="attendance_conference_code",
            ),
        ]

    def __str__(self) -> str:
        return f"call {self.pk}"


class ConferenceMatch(models.Model):
    """A call was (part of) a class."""

    conference = models.ForeignKey(Conference, models.CASCADE, related_name="matches")
    session = models.ForeignKey(ClassSession, models.CASCADE, related_name="matches")
    rule = models.CharField(max_length=14, choices=[(r.value, r.value) for r in MatchRule])
    confidence = models.FloatField()

    class Meta:
        verbose_name_plural = "conference matches"
        constraints = [
            models.UniqueConstraint(
                fields=["conference", "session"], name="attendance_conferencematch_pair"
            ),
            models.CheckConstraint(
                condition=Q(rule__in=[r.value for r in MatchRule]),
                name="attendance_conferencematch_rule",
            ),
            models.CheckConstraint(
                condition=Q(confidence__gte=0) & Q(confidence__lte=1),
                name="attendance_conferencematch_confidence",
            ),
        ]

    def __str__(self) -> str:
        return f"call {self.conference_id} in class {self.session_id} by {self.rule}"


class Endpoint(models.Model):
    """One device in one call, from its join to its leave."""

    conference = models.ForeignKey(Conference, models.CASCADE, related_name="endpoints")
    endpoint_id = models.CharField(max_length=200)
    calendar_event_id = models.CharField(max_length=1024, blank=True, default="")
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    start_source = models.CharField(max_length=8, choices=[(s.value, s.value) for s in StartSource])
    identifier = models.CharField(max_length=320, blank=True, default="")
    identifier_key = models.CharField(max_length=320, blank=True, default="")  # e-mail normal form
    identifier_type = models.CharField(max_length=32, blank=True, default="")
    display_name = models.CharField(max_length=300, blank=True, default="")
    device_type = models.CharField(max_length=32, blank=True, default="")
    is_external = models.BooleanField(default=False)
    google_user_id = models.CharField(max_length=64, blank=True, default="", db_default="")
    # Who this is, as far as the log says.
    mark = models.CharField(max_length=340, blank=True, default="", db_default="")
    kind = models.CharField(max_length=8, choices=[(k.value, k.value) for k in EndpointKind])
    learner = models.ForeignKey(
        Learner, models.SET_NULL, null=True, blank=True, related_name="endpoints"
    )
    identity_level = models.PositiveSmallIntegerField(default=0)
    identity_rule = models.CharField(max_length=32, blank=True, default="")
    activity = models.ForeignKey(
        Activity, models.SET_NULL, null=True, blank=True, related_name="endpoints"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conference", "endpoint_id"], name="attendance_endpoint_once"
            ),
            models.CheckConstraint(
                condition=Q(ended_at__gte=F("started_at")), name="attendance_endpoint_period"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in EndpointKind]),
                name="attendance_endpoint_kind",
            ),
            models.CheckConstraint(
                condition=Q(identity_level__lte=5), name="attendance_endpoint_level"
            ),
            models.CheckConstraint(
                condition=Q(learner__isnull=True) | ~Q(identity_rule=""),
                name="attendance_endpoint_learner_has_rule",
            ),
        ]
        indexes = [
            # Read by the linking of endpoints to learners; linked ones are not in it.
            models.Index(
                fields=["mark"],
                condition=Q(learner__isnull=True) & ~Q(mark=""),
                name="attendance_endpoint_unlinked",
            ),
            models.Index(
                fields=["google_user_id"],
                condition=Q(learner__isnull=True) & ~Q(google_user_id=""),
                name="attendance_endpoint_user",
            ),
            # Read when a class that came late from the calendar looks for its calls.
            models.Index(
                fields=["calendar_event_id"],
                condition=~Q(calendar_event_id=""),
                name="attendance_endpoint_event",
            ),
        ]

    def __str__(self) -> str:
        return f"endpoint {self.pk} of call {self.conference_id}"
