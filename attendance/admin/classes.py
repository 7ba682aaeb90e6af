"""Classes, what was concluded about them, and what went out or must be decided."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from attendance import models
from attendance.admin.base import (
    OUTCOME_COLOURS,
    because,
    class_of,
    class_words,
    clock,
    learner_of,
    minutes_of,
    person,
    spaced,
    table,
)
from config.console.pages import Console, ReadOnlyInline
from config.console.words import absolute as moment
from config.console.words import link

MOST_DEVICES = 200
SESSION_COLOURS = {
    "settled": "success", "settling": "info", "ended": "info", "scheduled": "info",
    "no data": "warning", "cancelled": "danger",
}  # fmt: skip


class SessionOutcomeInline(ReadOnlyInline):
    """Who was in a class."""

    model = models.Outcome
    verbose_name_plural = "who was there"
    fields = readonly_fields = (
        learner_of, "label", "first_join", "last_leave", minutes_of, "effective", because,
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Outcome]:
        """Current ones, by name."""
        rows = super().get_queryset(request).filter(is_current=True)
        return rows.select_related("learner", "session").order_by("learner__name", "pk")

    @display(description="outcome", label=OUTCOME_COLOURS)
    def label(self, row: models.Outcome) -> str:
        """As a coloured label."""
        return spaced(row.outcome)

    @admin.display(description="came")
    def first_join(self, row: models.Outcome) -> str:
        """The first join."""
        return clock(row.first_join_at)

    @admin.display(description="left")
    def last_leave(self, row: models.Outcome) -> str:
        """The last leave."""
        return clock(row.last_leave_at)


@admin.register(models.ClassSession)
class ClassSessionAdmin(Console):
    """A class: who was there and how we know."""

    list_display = ("what", "course", "state", "starts", "settled")
    list_select_related = ("course",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("starts_at", RangeDateFilter),
        "course",
    )
    search_fields = ("title", "event_id", "meeting_code", "course__title")
    search_help_text = "A title, a course, a Calendar event id, or a Meet code"
    ordering = ("-starts_at", "-pk")
    inlines = (SessionOutcomeInline,)
    fieldsets = (
        (None, {"fields": ("title", "course", "state", "starts", "ends", "settled")}),
        ("Devices seen in the call", {"fields": ("devices",), "classes": ("collapse",)}),
        (
            "From the calendar",
            {
                "fields": (
                    "event_id", "recurring_event_id", "original_start_at", "meeting_code",
                    "meet_url", "organizer_email", "next_check_at", "changed_at",
                ),
                "classes": ("collapse",),
            },
        ),
    )  # fmt: skip
    readonly_fields = ("state", "starts", "ends", "settled", "devices")

    def heading(self, row: models.ClassSession) -> str:
        """By title and time."""
        return class_words(row)

    @admin.display(description="class", ordering="title")
    def what(self, row: models.ClassSession) -> str:
        """In words."""
        return row.title or "Class"

    @display(description="state", label=SESSION_COLOURS)
    def state(self, row: models.ClassSession) -> str:
        """As a coloured label."""
        return spaced(row.status)

    @admin.display(description="starts", ordering="starts_at")
    def starts(self, row: models.ClassSession) -> str:
        """On the office's clock."""
        return moment(row.starts_at)

    @admin.display(description="ends")
    def ends(self, row: models.ClassSession) -> str:
        """On the office's clock."""
        return moment(row.ends_at)

    @admin.display(description="settled", ordering="settled_at")
    def settled(self, row: models.ClassSession) -> str:
        """When its outcomes were concluded."""
        return moment(row.settled_at)

    @admin.display(description="seen")
    def devices(self, row: models.ClassSession) -> SafeString | str:
        """Each device: its name, whose it is, how long it stayed."""
        seen = (
            models.Endpoint.objects.filter(conference__matches__session=row)
            .select_related("learner")
            .order_by("started_at", "pk")[:MOST_DEVICES]
        )
        rows = [
            (
                link(point, point.display_name or point.identifier or "no name"),
                link(point.learner, person(point.learner)) if point.learner else "not resolved",
                f"{spaced(point.device_type) or 'device'} ({point.kind})",
                clock(point.started_at),
                clock(point.ended_at),
                int((point.ended_at - point.started_at).total_seconds() // 60),
            )
            for point in seen
        ]
        heads = ("name in the call", "learner", "device", "came", "left", "minutes")
        return table(heads, rows) if rows else "Google's log shows nobody in this class."


@admin.register(models.AttendanceEvent)
class AttendanceEventAdmin(Console):
    """Facts that went out to nurture."""

    list_display = ("words", learner_of, class_of, "streak", "recorded", "processed")
    list_select_related = ("learner", "session")
    list_filter = (("kind", ChoicesDropdownFilter), ("recorded_at", RangeDateFilter))
    search_fields = ("learner__email", "learner__name")
    search_help_text = "A learner's name or address"
    ordering = ("-pk",)

    @admin.display(description="fact", ordering="kind")
    def words(self, row: models.AttendanceEvent) -> str:
        """Its kind as words."""
        return spaced(row.kind)

    @admin.display(description="recorded", ordering="recorded_at")
    def recorded(self, row: models.AttendanceEvent) -> str:
        """When it was written."""
        return moment(row.recorded_at)

    @admin.display(description="taken note of", ordering="processed_at")
    def processed(self, row: models.AttendanceEvent) -> str:
        """When nurture acted on it."""
        return moment(row.processed_at)

    def heading(self, row: models.AttendanceEvent) -> str:
        """By learner and kind."""
        return f"{person(row.learner)}: {spaced(row.kind)}"
