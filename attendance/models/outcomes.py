"""What was concluded, what was promised, what people must decide, and the facts that go out."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from attendance.domain.kinds import (
    AuditVerdict,
    EventKind,
    Origin,
    OutcomeKind,
    PledgeState,
    ReviewKind,
    ReviewState,
)
from attendance.models.courses import AttendancePolicy, Course
from attendance.models.learners import Learner
from attendance.models.records import Endpoint
from attendance.models.sessions import ClassSession
from config.telemetry import TRACE_LENGTH


class Outcome(models.Model):
    """One revision of what is concluded about one learner in one class.

    A revision's conclusion never changes. It may become effective once, when the settlement
    gate admits it, and it stops being current when the next revision is written.
    """

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="outcomes")
    session = models.ForeignKey(ClassSession, models.CASCADE, related_name="outcomes")
    revision = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=[(k.value, k.value) for k in OutcomeKind])
    flags = models.JSONField(default=list, blank=True)
    present_seconds = models.PositiveIntegerField(default=0)
    share = models.FloatField(default=0)
    first_join_at = models.DateTimeField(null=True, blank=True)
    last_leave_at = models.DateTimeField(null=True, blank=True)
    effective = models.BooleanField(default=False)
    effective_at = models.DateTimeField(null=True, blank=True)
    is_current = models.BooleanField(default=True)
    origin = models.CharField(
        max_length=8, choices=[(o.value, o.value) for o in Origin], default=Origin.ENGINE.value
    )
    policy = models.ForeignKey(AttendancePolicy, models.PROTECT, null=True, blank=True)
    reason = models.CharField(max_length=32)
    inputs = models.JSONField(default=dict, blank=True)
    decided_at = models.DateTimeField()
    # Where a person decided.
    decided_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    note = models.CharField(max_length=300, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["learner", "session", "revision"], name="attendance_outcome_revision"
            ),
            models.UniqueConstraint(
                fields=["learner", "session"],
                condition=Q(is_current=True),
                name="attendance_outcome_one_current",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=[k.value for k in OutcomeKind]),
                name="attendance_outcome_kind",
            ),
            models.CheckConstraint(
                condition=Q(effective=True) ^ Q(effective_at__isnull=True),
                name="attendance_outcome_effective_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(effective=True) | ~Q(outcome__in=["pending", "unknown"]),
                name="attendance_outcome_undecided_has_no_effect",
            ),
            models.CheckConstraint(
                condition=Q(share__gte=0) & Q(share__lte=1), name="attendance_outcome_share"
            ),
            models.CheckConstraint(
                condition=Q(revision__gte=1), name="attendance_outcome_revision_from_one"
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="attendance_outcome_reason_given"),
            models.CheckConstraint(
                condition=~Q(origin="staff") | ~Q(decided_by=""),
                name="attendance_outcome_staff_has_name",
            ),
        ]
        indexes = [
            # Read by the settler and the session page: the current outcomes of a class.
            models.Index(
                fields=["session"], condition=Q(is_current=True), name="attendance_outcome_current"
            ),
            # Read by the export since a moment.
            models.Index(
                fields=["decided_at"],
                condition=Q(is_current=True),
                name="attendance_outcome_decided",
            ),
        ]

    def __str__(self) -> str:
        return (
            f"learner {self.learner_id} in class {self.session_id}: "
            f"{self.outcome} (revision {self.revision})"
        )


class Pledge(models.Model):
    """A learner was asked whether they will come to a class, and what they said."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="pledges")
    session = models.ForeignKey(ClassSession, models.CASCADE, related_name="pledges")
    state = models.CharField(max_length=8, choices=[(s.value, s.value) for s in PledgeState])
    asked_at = models.DateTimeField(null=True, blank=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=32, blank=True, default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["learner", "session"], name="attendance_pledge_one_per_class"
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in PledgeState]),
                name="attendance_pledge_state",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["yes", "no", "kept", "broken"])
                | Q(answered_at__isnull=False),
                name="attendance_pledge_answer_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"pledge of learner {self.learner_id} for class {self.session_id}: {self.state}"


class ReviewItem(models.Model):
    """Something that a person must decide, with the evidence."""

    kind = models.CharField(max_length=16, choices=[(k.value, k.value) for k in ReviewKind])
    key = models.CharField(max_length=400)
    # Whom it is about, if a guest.
    mark = models.CharField(max_length=340, blank=True, default="", db_default="")
    course = models.ForeignKey(
        Course, models.CASCADE, null=True, blank=True, related_name="review_items"
    )
    session = models.ForeignKey(
        ClassSession, models.CASCADE, null=True, blank=True, related_name="review_items"
    )
    endpoint = models.ForeignKey(
        Endpoint, models.CASCADE, null=True, blank=True, related_name="review_items"
    )
    learner = models.ForeignKey(
        Learner, models.CASCADE, null=True, blank=True, related_name="review_items"
    )
    state = models.CharField(
        max_length=8,
        choices=[(s.value, s.value) for s in ReviewState],
        default=ReviewState.OPEN.value,
    )
    evidence = models.JSONField(default=dict, blank=True)
    decision = models.CharField(max_length=64, blank=True, default="")
    decided_by = models.CharField(max_length=150, blank=True, default="")
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # The same question is open once. Also read by the review list.
            models.UniqueConstraint(
                fields=["key"], condition=Q(state="open"), name="attendance_reviewitem_one_open"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in ReviewKind]),
                name="attendance_reviewitem_kind",
            ),
            models.CheckConstraint(
                condition=Q(state="open", decided_at__isnull=True)
                | Q(state="decided", decided_at__isnull=False),
                name="attendance_reviewitem_decided_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"review item {self.pk}: {self.kind} {self.state}"


class AuditPair(models.Model):
    """One outcome of the weekly random sample, and what a person who looked says of it."""

    outcome = models.OneToOneField(Outcome, models.CASCADE, related_name="audit")
    week = models.DateField()  # Monday of the week it was drawn for
    verdict = models.CharField(
        max_length=12, choices=[(v.value, v.value) for v in AuditVerdict], blank=True, default=""
    )
    # What it really was, where the outcome was wrong.
    truth = models.CharField(
        max_length=10, choices=[(k.value, k.value) for k in OutcomeKind], blank=True, default=""
    )
    drawn_at = models.DateTimeField()
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", decided_at__isnull=True)
                | (~Q(verdict="") & Q(decided_at__isnull=False)),
                name="attendance_auditpair_decided_has_time",
            ),
            models.CheckConstraint(
                condition=Q(verdict="wrong") ^ Q(truth=""), name="attendance_auditpair_truth"
            ),
        ]
        indexes = [models.Index(fields=["week"], name="attendance_auditpair_week")]

    def __str__(self) -> str:
        return f"audit of outcome {self.outcome_id}: {self.verdict or 'open'}"


class AttendanceEvent(models.Model):
    """A fact for other apps: claimed once, marked processed by whoever acted on it."""

    kind = models.CharField(max_length=20, choices=[(k.value, k.value) for k in EventKind])
    learner = models.ForeignKey(Learner, models.CASCADE, related_name="events")
    session = models.ForeignKey(ClassSession, models.CASCADE, related_name="events")
    outcome = models.ForeignKey(
        Outcome, models.CASCADE, null=True, blank=True, related_name="events"
    )
    key = models.CharField(max_length=120, unique=True)
    streak = models.PositiveIntegerField(default=1)
    occurred_at = models.DateTimeField()  # the class's end; for a pledge, when it was given
    recorded_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True, blank=True)
    #: Of what this came, as a traceparent; empty where traces are off.
    trace = models.CharField(max_length=TRACE_LENGTH, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=[k.value for k in EventKind]),
                name="attendance_attendanceevent_kind",
            ),
        ]
        indexes = [
            # Read by whoever claims facts, oldest first; processed ones are not in it.
            models.Index(
                fields=["id"],
                condition=Q(processed_at__isnull=True),
                name="attendance_event_unprocessed",
            ),
            # Read by "which facts since" of a learner.
            models.Index(fields=["learner", "recorded_at"], name="attendance_event_learner"),
        ]

    def __str__(self) -> str:
        return f"fact {self.pk}: {self.kind} of learner {self.learner_id}, class {self.session_id}"
