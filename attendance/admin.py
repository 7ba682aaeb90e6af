"""The console over who was there. What the engine owns is read here, not edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from attendance import models
from attendance.domain.reasons import EXPLAIN, Reason

OUTCOME_COLOURS = {
    "attended": "success",
    "late": "warning",
    "left_early": "warning",
    "partial": "warning",
    "missed": "danger",
    "unknown": "info",
    "pending": "info",
    "excused": "info",
}


class Console(ModelAdmin):
    """Read-only: rows of the engine. They change through services, never through a form."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds facts by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits them."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes them."""
        return False


class ReadOnlyInline(TabularInline):
    """Related rows, for reading."""

    extra = 0
    can_delete = False
    show_change_link = True
    tab = True
    per_page = 25

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """For reading only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """For reading only."""
        return False


def link(obj: Any, text: str) -> SafeString:
    """A link to the admin page of `obj`, in words."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', url, text
    )


def person(learner: models.Learner) -> str:
    """A learner in words."""
    return learner.name or learner.email


def class_words(session: models.ClassSession) -> str:
    """A class in words, with its time in UTC said so."""
    return f"{session.title or 'Class'}, {session.starts_at:%a %d %b %Y %H:%M} UTC"


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString | str:
    """Link to the learner of a row."""
    return link(row.learner, person(row.learner)) if row.learner else "–"


@admin.display(description="class")
def class_of(row: Any) -> SafeString | str:
    """Link to the class of a row."""
    return link(row.session, class_words(row.session)) if row.session else "–"


@admin.display(description="minutes")
def minutes_of(row: models.Outcome) -> int:
    """Whole minutes in the class."""
    return row.present_seconds // 60


@admin.display(description="because")
def because(row: models.Outcome) -> str:
    """The reason of an outcome in a sentence."""
    return EXPLAIN[Reason(row.reason)] if row.reason in set(Reason) else row.reason


class EnrolmentInline(TabularInline):
    """The courses of a learner; staff may change these."""

    model = models.Enrolment
    extra = 0
    tab = True


class IdentityInline(TabularInline):
    """By what a learner is recognised in a call."""

    model = models.LearnerIdentity
    extra = 0
    tab = True
    readonly_fields = ("created_at",)


class LearnerOutcomeInline(ReadOnlyInline):
    """What was concluded about a learner."""

    model = models.Outcome
    verbose_name_plural = "outcomes"
    fields = readonly_fields = (class_of, "outcome", minutes_of, "effective", because)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Outcome]:
        """Current ones, newest class first."""
        rows = super().get_queryset(request).filter(is_current=True)
        return rows.select_related("session", "learner").order_by("-session__starts_at")


@admin.register(models.Learner)
class LearnerAdmin(ModelAdmin):
    """A learner with everything that leads on from here."""

    list_display = ("who", "email", "way_on")
    search_fields = ("email", "name", "identities__value_key")
    search_help_text = "Name, address, or any address they join with"
    list_per_page = 50
    show_full_result_count = False
    ordering = ("name", "pk")
    readonly_fields = ("email_key", "created_at", "way_on")
    inlines = (LearnerOutcomeInline, IdentityInline, EnrolmentInline)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Learners come in by import_learners, which checks the whole file first."""
        return False

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """An identity that staff add begins now."""
        for row in formset.save(commit=False):
            if isinstance(row, models.LearnerIdentity) and row._state.adding:
                row.created_at = timezone.now()
            row.save()
        for row in formset.deleted_objects:
            row.delete()

    @admin.display(description="name", ordering="name")
    def who(self, row: models.Learner) -> str:
        """In words."""
        return person(row)

    @admin.display(description="more")
    def way_on(self, row: models.Learner) -> SafeString:
        """Links to what the other apps know; by address, since this app does not know them."""
        return format_html(
            '<a href="{}?q={}">journeys</a> · <a href="{}?q={}">decisions</a> · '
            '<a href="{}?q={}">facts</a>',
            reverse("admin:nurture_journey_changelist"), row.email,
            reverse("admin:nurture_decision_changelist"), row.email,
            reverse("admin:attendance_attendanceevent_changelist"), row.email,
        )  # fmt: skip


class SessionOutcomeInline(ReadOnlyInline):
    """Who was in a class."""

    model = models.Outcome
    verbose_name_plural = "outcomes"
    fields = readonly_fields = (
        learner_of, "outcome", "first_join_at", "last_leave_at", minutes_of, "effective", because,
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Outcome]:
        """Current ones, by name."""
        rows = super().get_queryset(request).filter(is_current=True)
        return rows.select_related("learner", "session").order_by("learner__name")


@admin.register(models.ClassSession)
class ClassSessionAdmin(Console):
    """A class: who was there and how we know."""

    list_display = ("what", "course", "state", "starts_at", "ends_at", "settled_at")
    list_select_related = ("course",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("starts_at", RangeDateFilter),
        "course",
    )
    search_fields = ("title", "event_id", "meeting_code")
    ordering = ("-starts_at", "-pk")
    inlines = (SessionOutcomeInline,)

    @admin.display(description="class", ordering="starts_at")
    def what(self, row: models.ClassSession) -> str:
        """In words."""
        return class_words(row)

    @display(
        description="state",
        label={
            "settled": "success", "settling": "info", "ended": "info", "scheduled": "info",
            "no_data": "warning", "cancelled": "danger",
        },
    )  # fmt: skip
    def state(self, row: models.ClassSession) -> str:
        """As a coloured label."""
        return row.status


@admin.register(models.Outcome)
class OutcomeAdmin(Console):
    """What was concluded, and why."""

    list_display = (learner_of, class_of, "label", minutes_of, "effective", because)
    list_select_related = ("learner", "session")
    list_filter = (
        ("outcome", ChoicesDropdownFilter),
        "effective",
        "is_current",
        ("decided_at", RangeDateFilter),
    )
    search_fields = ("learner__email", "learner__name", "session__event_id")
    ordering = ("-pk",)

    @display(description="outcome", label=OUTCOME_COLOURS)
    def label(self, row: models.Outcome) -> str:
        """As a coloured label."""
        return row.outcome


@admin.register(models.AttendanceEvent)
class AttendanceEventAdmin(Console):
    """Facts that went out to nurture."""

    list_display = ("kind", learner_of, class_of, "streak", "recorded_at", "processed_at")
    list_select_related = ("learner", "session")
    list_filter = (("kind", ChoicesDropdownFilter), ("recorded_at", RangeDateFilter))
    search_fields = ("learner__email", "learner__name")
    ordering = ("-pk",)


@admin.register(models.Endpoint)
class EndpointAdmin(Console):
    """One device in one call."""

    list_display = ("display_name", "identifier", "kind", learner_of, "started_at", "ended_at")
    list_select_related = ("learner",)
    list_filter = (("kind", ChoicesDropdownFilter), ("started_at", RangeDateFilter))
    search_fields = ("identifier", "display_name", "endpoint_id")
    ordering = ("-pk",)


@admin.register(models.Conference)
class ConferenceAdmin(Console):
    """One call of Google."""

    list_display = ("conference_id", "meeting_code", "organizer_email")
    search_fields = ("conference_id", "meeting_code")
    ordering = ("-pk",)


@admin.register(models.ConferenceMatch)
class ConferenceMatchAdmin(Console):
    """Which call belongs to which class, by which rule."""

    list_display = ("conference", class_of, "rule", "confidence")
    list_select_related = ("conference", "session")
    search_fields = ("conference__conference_id", "session__event_id")
    ordering = ("-pk",)


@admin.register(models.Activity)
class ActivityAdmin(Console):
    """Google's records as they came, without addresses of machines."""

    list_display = ("event_time", "name", "unique_qualifier", "first_seen_at")
    search_fields = ("unique_qualifier",)
    ordering = ("-pk",)


@admin.register(models.SyncRun)
class SyncRunAdmin(Console):
    """Readings of Google."""

    list_display = ("started_at", "source", "kind", "label", "new_rows", "duplicate_rows", "error")
    list_filter = (("source", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter))
    ordering = ("-pk",)

    @display(
        description="state",
        label={
            "complete": "success", "partial": "warning", "failed": "danger",
            "config_error": "danger", "running": "info",
        },
    )  # fmt: skip
    def label(self, row: models.SyncRun) -> str:
        """As a coloured label."""
        return row.state


@admin.register(models.ReviewItem)
class ReviewItemAdmin(Console):
    """Questions to staff, with the evidence."""

    list_display = ("kind", learner_of, class_of, "state", "created_at")
    list_select_related = ("learner", "session")
    list_filter = (("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter))
    search_fields = ("learner__email", "key")
    ordering = ("-pk",)


@admin.register(models.Course)
class CourseAdmin(ModelAdmin):
    """A calendar whose classes are watched."""

    list_display = ("title_or_calendar", "calendar_id", "time_zone", "active")
    search_fields = ("title", "calendar_id")
    list_filter = ("active",)
    ordering = ("title", "pk")

    @admin.display(description="course", ordering="title")
    def title_or_calendar(self, row: models.Course) -> str:
        """In words."""
        return row.title or row.calendar_id


@admin.register(models.AttendancePolicy)
class AttendancePolicyAdmin(ModelAdmin):
    """What counts as late, early, enough; each outcome keeps the version it was judged by."""

    list_display = ("course", "version", "min_presence_seconds", "late_grace_seconds")
    list_select_related = ("course",)
    ordering = ("course", "-version")


@admin.register(models.Enrolment)
class EnrolmentAdmin(ModelAdmin):
    """Who belongs to which course, and since when."""

    list_display = (learner_of, "course", "starts_at", "ends_at")
    list_select_related = ("learner", "course")
    search_fields = ("learner__email", "learner__name", "course__title")
    autocomplete_fields = ("learner", "course")
    ordering = ("-pk",)


@admin.register(models.LearnerIdentity)
class LearnerIdentityAdmin(ModelAdmin):
    """By what learners are recognised."""

    list_display = (learner_of, "kind", "value_key", "status", "origin")
    list_select_related = ("learner",)
    list_filter = (("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    list_filter_submit = True
    search_fields = ("value_key", "learner__email")
    autocomplete_fields = ("learner",)
    readonly_fields = ("created_at",)
    ordering = ("-pk",)


@admin.register(models.Pledge)
class PledgeAdmin(Console):
    """Who said that they will come."""

    list_display = (learner_of, class_of, "state", "answered_at", "source")
    list_select_related = ("learner", "session")
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("learner__email", "learner__name")
    ordering = ("-pk",)
