"""Classes as the calendar plans them."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import F, Q

from attendance.domain.kinds import SessionStatus
from attendance.models.courses import Course

# The calendar gives it a Meet link, so somebody can come to it.
LINKED = ~Q(meeting_code="", meet_url="")


class ClassSessionQuerySet(models.QuerySet["ClassSession"]):
    """Reads of classes."""

    def due(self, now: datetime) -> ClassSessionQuerySet:
        """Classes that the settler should look at, in the order in which they were held."""
        return self.filter(next_check_at__lte=now).order_by("ends_at", "pk")

    def claim(self, limit: int) -> ClassSessionQuerySet:
        """Lock up to `limit` rows that no other worker holds. Needs a transaction."""
        return self.select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit]

    def confirmed(self) -> ClassSessionQuerySet:
        """Classes that are not cancelled."""
        return self.exclude(status=SessionStatus.CANCELLED)


class ClassSession(models.Model):
    """One class: one event (or one instance of a recurring event) of a course's calendar."""

    course = models.ForeignKey(Course, models.CASCADE, related_name="sessions")
    event_id = models.CharField(max_length=1024)
    recurring_event_id = models.CharField(max_length=1024, blank=True, default="")
    original_start_at = models.DateTimeField(null=True, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    title = models.CharField(max_length=300, blank=True, default="")
    meeting_code = models.CharField(max_length=64, blank=True, default="")  # normal form
    meet_url = models.CharField(max_length=300, blank=True, default="")
    organizer_email = models.CharField(max_length=320, blank=True, default="")
    declined = models.JSONField(
        default=list, db_default=[], blank=True
    )  # normal forms of addresses
    few_is_right = models.BooleanField(default=False, db_default=False)  # staff: few came
    status = models.CharField(
        max_length=12,
        choices=[(s.value, s.value) for s in SessionStatus],
        default=SessionStatus.SCHEDULED.value,
    )
    next_check_at = models.DateTimeField(null=True, blank=True)
    settled_at = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()

    objects = ClassSessionQuerySet.as_manager()

    class Meta:
        verbose_name = "class"
        verbose_name_plural = "classes"
        constraints = [
            models.UniqueConstraint(
                fields=["course", "event_id"], name="attendance_classsession_event"
            ),
            models.CheckConstraint(
                condition=Q(status__in=[s.value for s in SessionStatus]),
                name="attendance_classsession_status",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__gt=F("starts_at")), name="attendance_classsession_period"
            ),
            models.CheckConstraint(
                condition=~Q(status="settled") | Q(settled_at__isnull=False),
                name="attendance_classsession_settled_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(status="cancelled") | Q(next_check_at__isnull=True),
                name="attendance_classsession_cancelled_is_at_rest",
            ),
        ]
        indexes = [
            # Read by the settler; classes at rest are not in it.
            models.Index(
                fields=["next_check_at"],
                condition=Q(next_check_at__isnull=False),
                name="attendance_session_due",
            ),
            # Read by "the next class" and by streaks, per course in planned order.
            models.Index(fields=["course", "starts_at"], name="attendance_session_planned"),
            # Read by the list of classes, newest first.
            models.Index(fields=["starts_at", "id"], name="attendance_session_listed"),
            # Read by the matching of calls that carry no event id.
            models.Index(
                fields=["meeting_code", "starts_at"],
                condition=~Q(meeting_code=""),
                name="attendance_session_code",
            ),
            # Read by the matching of calls that carry one.
            models.Index(fields=["event_id"], name="attendance_session_event_id"),
        ]

    def __str__(self) -> str:
        return f"class {self.pk} of course {self.course_id} at {self.starts_at:%Y-%m-%d %H:%M}"

    @property
    def has_link(self) -> bool:
        """Whether the calendar gives it a Meet link."""
        return bool(self.meeting_code or self.meet_url)
