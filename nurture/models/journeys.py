"""Who walks through what, and why things went as they did."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from attendance.models import AttendanceEvent, ClassSession, Course, Learner
from config.telemetry import TRACE_LENGTH
from delivery.models import Delivery
from nurture.models.sequences import Sequence, SequenceVersion


class JourneyStatus(models.TextChoices):
    """The states of docs/architecture.md; domain/journey.py has the table of changes."""

    ACTIVE = "active", "active"
    PAUSED = "paused", "paused"
    COMPLETED = "completed", "completed"
    EXITED = "exited", "exited"


OPEN = [JourneyStatus.ACTIVE, JourneyStatus.PAUSED]


class Journey(models.Model):
    """One learner's walk through one published version."""

    sequence = models.ForeignKey(Sequence, models.PROTECT, related_name="journeys")
    version = models.ForeignKey(
        SequenceVersion, models.PROTECT, db_index=False, related_name="journeys"
    )
    learner = models.ForeignKey(Learner, models.PROTECT, related_name="journeys")
    entry_key = models.CharField(max_length=64)  # session:<id> | learner
    round = models.PositiveIntegerField(default=1)
    slot = models.PositiveSmallIntegerField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=JourneyStatus, default=JourneyStatus.ACTIVE)
    exit_reason = models.CharField(max_length=32, blank=True, default="")
    session = models.ForeignKey(
        ClassSession, models.PROTECT, null=True, blank=True, related_name="journeys"
    )
    course = models.ForeignKey(
        Course, models.PROTECT, null=True, blank=True, related_name="journeys"
    )
    cause = models.ForeignKey(
        AttendanceEvent, models.SET_NULL, null=True, blank=True, related_name="journeys"
    )
    step_key = models.CharField(max_length=64, blank=True, default="")  # the current step
    anchor_at = models.DateTimeField()  # when the step before it settled; entry for the first
    next_action_at = models.DateTimeField(null=True, blank=True)
    waiting_on = models.OneToOneField(
        Delivery, models.PROTECT, null=True, blank=True, related_name="journey"
    )
    steps_taken = models.PositiveSmallIntegerField(default=0)
    #: How often a step was decided anew: a class moved, a pause ended. No part of the step budget.
    replans = models.PositiveSmallIntegerField(default=0, db_default=0)
    paused_at = models.DateTimeField(null=True, blank=True)
    #: A newer version that it changes to at the next step which both have.
    moves_to = models.ForeignKey(
        SequenceVersion, models.PROTECT, null=True, blank=True, related_name="awaited_by"
    )
    is_test = models.BooleanField(default=False)
    #: It is only pretended: what it would say is kept, and nobody hears it.
    dry_run = models.BooleanField(default=False, db_default=False)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    #: Of what this came, as a traceparent; empty where traces are off.
    trace = models.CharField(max_length=TRACE_LENGTH, blank=True, default="", db_default="")

    class Meta:
        db_table = "user_nurture_journeys"
        constraints = [
            # The same fact, however often it arrives, starts one journey (P03, P14).
            models.UniqueConstraint(
                fields=["sequence", "learner", "entry_key", "round", "dry_run"],
                name="nurture_journey_once",
            ),
            # At most `open_limit` open journeys: each holds a slot below it.
            models.UniqueConstraint(
                fields=["sequence", "learner", "slot", "dry_run"],
                condition=Q(status__in=OPEN),
                name="nurture_journey_slot",
            ),
            models.CheckConstraint(
                condition=Q(status__in=JourneyStatus.values), name="nurture_journey_status"
            ),
            models.CheckConstraint(
                condition=Q(status__in=OPEN) ^ Q(slot__isnull=True),
                name="nurture_journey_open_slot",
            ),
            models.CheckConstraint(
                condition=~Q(status=JourneyStatus.ACTIVE)
                | (Q(next_action_at__isnull=True) ^ Q(waiting_on__isnull=True)),
                name="nurture_journey_active_has_next",
            ),
            models.CheckConstraint(
                condition=Q(status=JourneyStatus.PAUSED) ^ Q(paused_at__isnull=True),
                name="nurture_journey_paused_at",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OPEN) ^ Q(ended_at__isnull=False),
                name="nurture_journey_ended_at",
            ),
            models.CheckConstraint(
                condition=Q(status=JourneyStatus.EXITED) ^ Q(exit_reason=""),
                name="nurture_journey_exit_reason",
            ),
        ]
        indexes = [
            # Read by advance: what is due, oldest first; ended journeys are not in it.
            models.Index(
                fields=["next_action_at", "id"],
                condition=Q(status=JourneyStatus.ACTIVE, next_action_at__isnull=False),
                name="nurture_journey_due",
            ),
            # Read by corrections and moves: the open journeys that a class caused.
            models.Index(
                fields=["session"], condition=Q(status__in=OPEN), name="nurture_journey_of_class"
            ),
            # Read by the list of journeys, for a span of time: a few pages in all.
            BrinIndex(
                fields=["started_at"],
                autosummarize=True,
                pages_per_range=16,
                name="nurture_journey_brin",
            ),
            # Read by the figures of a day: what came to its end, and how.
            models.Index(
                fields=["ended_at"],
                include=["status", "exit_reason"],
                condition=Q(ended_at__isnull=False, is_test=False),
                name="nurture_journey_ended_day",
            ),
            # Read by the messages of dry runs.
            models.Index(
                fields=["sequence"], condition=Q(dry_run=True), name="nurture_journey_dry_run"
            ),
            # Read by exit rules, /stop and the learner's page.
            models.Index(
                fields=["learner"], condition=Q(status__in=OPEN), name="nurture_journey_of_learner"
            ),
            # Read by the timeline: the runs of a version since a day. Serves the foreign key, too.
            models.Index(fields=["version", "started_at"], name="nurture_journey_of_version"),
        ]

    def __str__(self) -> str:
        return f"journey {self.pk}"

    @property
    def facts_from(self) -> datetime:
        """From when on facts count: since its cause was recorded, which a pass may read later."""
        cause = self.cause
        return min(cause.recorded_at, self.started_at) if cause else self.started_at


class Decision(models.Model):
    """Why: one line per thing decided, positive ones too. Append-only (trigger)."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="decisions")
    sequence = models.ForeignKey(
        Sequence, models.CASCADE, null=True, blank=True, related_name="decisions"
    )
    journey = models.ForeignKey(
        Journey, models.CASCADE, null=True, blank=True, related_name="decisions"
    )
    step_key = models.CharField(max_length=64, blank=True, default="")
    code = models.CharField(max_length=32)
    inputs = models.JSONField(default=dict, blank=True)
    # No constraint: it may have moved to the archive, under the same key.
    delivery = models.ForeignKey(
        Delivery, models.SET_NULL, null=True, blank=True, db_constraint=False,
        related_name="decisions",
    )  # fmt: skip
    event = models.ForeignKey(
        AttendanceEvent, models.SET_NULL, null=True, blank=True, related_name="decisions"
    )
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(code=""), name="nurture_decision_code"),
        ]
        indexes = [
            # Read by explain and by the learner's page.
            models.Index(
                fields=["learner", "sequence", "-decided_at"], name="nurture_decision_of_learner"
            ),
            # Read by the list of decisions, for a span of time: a few pages in all.
            BrinIndex(
                fields=["decided_at"],
                autosummarize=True,
                pages_per_range=16,
                name="nurture_decision_brin",
            ),
        ]

    def __str__(self) -> str:
        return f"decision {self.pk}: {self.code}"


class TaskKind(models.TextChoices):
    """Why a person is asked."""

    HANDOVER = "handover", "a sequence hands over"
    FALSE_ACTIVATION = "false_activation", "somebody was told what was not true"
    DISPUTE = "dispute", "a learner says: I was there"
    LINK_CONFLICT = "link_conflict", "a chat belongs to somebody else"
    SEQUENCE_HELD = "sequence_held", "a sequence was held by itself"


class StaffTask(models.Model):
    """Something only a person can do."""

    kind = models.CharField(max_length=16, choices=TaskKind)
    key = models.CharField(max_length=120)
    learner = models.ForeignKey(
        Learner, models.CASCADE, null=True, blank=True, related_name="staff_tasks"
    )
    journey = models.ForeignKey(
        Journey, models.SET_NULL, null=True, blank=True, related_name="staff_tasks"
    )
    note = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()
    done_at = models.DateTimeField(null=True, blank=True)
    done_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(done_at__isnull=True),
                name="nurture_stafftask_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"task {self.pk}: {self.kind}"


class HoldoutAssignment(models.Model):
    """Who was held out of a sequence, decided once by a sticky hash and kept."""

    sequence = models.ForeignKey(Sequence, models.CASCADE, related_name="holdouts")
    learner = models.ForeignKey(Learner, models.CASCADE, related_name="holdouts")
    held_out = models.BooleanField()
    assigned_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sequence", "learner"], name="nurture_holdout_once"),
        ]

    def __str__(self) -> str:
        return f"holdout {self.pk}"
