"""Courses, who is enrolled in them, and how presence is judged there."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q

from attendance.models.learners import Learner


class Course(models.Model):
    """A series of classes: one Google calendar."""

    calendar_id = models.CharField(max_length=320, unique=True)
    title = models.CharField(max_length=200, blank=True, default="")
    time_zone = models.CharField(max_length=64, blank=True, default="")  # blank: TIME_ZONE
    active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.title or self.calendar_id


class AttendancePolicy(models.Model):
    """How presence in a course is judged: the newest version that held when a class began.

    A version is never changed; each outcome points at the one it was judged by.
    """

    course = models.ForeignKey(Course, models.CASCADE, related_name="policies")
    version = models.PositiveIntegerField(default=1)
    valid_from = models.DateTimeField(null=True, blank=True)  # null: always
    min_presence_seconds = models.PositiveIntegerField(default=120)
    late_grace_seconds = models.PositiveIntegerField(default=600)
    early_grace_seconds = models.PositiveIntegerField(default=600)
    partial_below = models.FloatField(default=0.5)  # share of the effective window, 0 to 1
    settle_positive_seconds = models.PositiveIntegerField(default=1800)
    settle_missed_seconds = models.PositiveIntegerField(default=10800)
    # Who declined the invitation is excused, not missed.
    declined_is_excused = models.BooleanField(default=True, db_default=True)
    # A guest under a learner's exact name counts as that learner, for presence only.
    names_prove_presence = models.BooleanField(default=False, db_default=False)
    ask_before_hours = models.PositiveSmallIntegerField(
        null=True, blank=True,
        help_text="how long before a class learners are asked whether they come; empty: never",
    )  # fmt: skip

    class Meta:
        verbose_name_plural = "attendance policies"
        constraints = [
            models.UniqueConstraint(
                fields=["course", "version"], name="attendance_attendancepolicy_version"
            ),
            models.CheckConstraint(
                condition=Q(partial_below__gte=0) & Q(partial_below__lte=1),
                name="attendance_attendancepolicy_share",
            ),
            models.CheckConstraint(
                condition=Q(settle_missed_seconds__gte=F("settle_positive_seconds")),
                name="attendance_attendancepolicy_settle_order",
            ),
            models.CheckConstraint(
                condition=Q(ask_before_hours__isnull=True)
                | Q(ask_before_hours__gte=1, ask_before_hours__lte=168),
                name="attendance_attendancepolicy_ask_before",
            ),
        ]

    def __str__(self) -> str:
        return f"policy v{self.version} of course {self.course_id}"


class Enrolment(models.Model):
    """A learner is expected in the classes of a course during [starts_at, ends_at)."""

    learner = models.ForeignKey(Learner, models.CASCADE, related_name="enrolments")
    course = models.ForeignKey(Course, models.CASCADE, related_name="enrolments")
    # Null: from the first class on. An import knows only that somebody is enrolled.
    starts_at = models.DateTimeField(null=True, blank=True)
    ends_at = models.DateTimeField(null=True, blank=True)
    # When an import added it to a course whose classes we judged already; nobody is missed in a
    # class that began before. Null: it was there from the beginning, or staff said when it began.
    noted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["learner", "course"],
                condition=Q(ends_at__isnull=True),
                name="attendance_enrolment_one_open",
            ),
            models.CheckConstraint(
                condition=Q(starts_at__isnull=True)
                | Q(ends_at__isnull=True)
                | Q(ends_at__gt=F("starts_at")),
                name="attendance_enrolment_period",
            ),
        ]
        indexes = [
            # Read by the settler: everyone enrolled in the course of a class.
            models.Index(fields=["course", "learner"], name="attendance_enrolment_course"),
        ]

    def __str__(self) -> str:
        return f"enrolment {self.pk}: learner {self.learner_id} in course {self.course_id}"
