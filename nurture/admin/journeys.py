"""Journeys, and why they went as they did."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from delivery.admin import Console
from delivery.clock import now
from nurture import models, services
from nurture.admin.base import learner_of, link
from nurture.domain.reasons import EXPLAIN, Reason

JOURNEY_COLOURS = {
    "active": "success",
    "paused": "warning",
    "completed": "info",
    "exited": "danger",
}


@admin.display(description="because")
def because(row: models.Decision) -> str:
    """A decision's code in a sentence."""
    return EXPLAIN[Reason(row.code)] if row.code in set(Reason) else row.code


@admin.display(description="from")
def inputs_of(row: models.Decision) -> str:
    """What a decision was based on, in words."""
    return ", ".join(f"{key}: {value}" for key, value in row.inputs.items()) or "–"


class DecisionInline(TabularInline):
    """Why a journey went as it did, as a timeline."""

    model = models.Decision
    extra = 0
    can_delete = False
    ordering = ("decided_at", "pk")
    fields = readonly_fields = ("decided_at", "there", "step_key", because, inputs_of)
    verbose_name_plural = "what was decided, and why"

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """History."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """History."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Decision]:
        """With the learner's zone."""
        return super().get_queryset(request).select_related("learner__contact")

    @admin.display(description="learner's time")
    def there(self, row: models.Decision) -> str:
        """The moment on the learner's clock."""
        contact = getattr(row.learner, "contact", None)
        zone = ZoneInfo(contact.time_zone) if contact and contact.time_zone else ZoneInfo("UTC")
        return f"{row.decided_at.astimezone(zone):%a %d %b %H:%M} {zone.key}"


@admin.register(models.Journey)
class JourneyAdmin(Console):
    """One learner's walk through one sequence."""

    list_display = (
        learner_of, "which", "label", "step_key", "next_thing", "started_at", "exit_words",
    )  # fmt: skip
    list_select_related = ("learner", "sequence", "version", "waiting_on")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        "sequence",
        ("started_at", RangeDateTimeFilter),
    )
    search_fields = ("learner__email", "learner__name", "sequence__slug")
    search_help_text = "A learner's name or address, or a sequence"
    ordering = ("-pk",)
    inlines = (DecisionInline,)
    actions = ("pause", "resume")
    fields = readonly_fields = (
        learner_of, "which", "status", "cause_words", "step_key", "next_thing", "started_at",
        "ended_at", "exit_words",
    )  # fmt: skip

    @admin.display(description="started by")
    def cause_words(self, row: models.Journey) -> SafeString | str:
        """The fact and the class, with a link."""
        if row.session is None:
            return "–"
        fact = row.cause.kind if row.cause else "a fact"
        at = timezone.localtime(row.session.starts_at)
        return link(row.session, f"{fact}: {row.session.title}, {at:%a %d %b %Y %H:%M}")

    @admin.display(description="sequence")
    def which(self, row: models.Journey) -> SafeString:
        """Link to the sequence, with the version it is pinned to."""
        return link(row.sequence, f"{row.sequence.name} (version {row.version.number})")

    @display(description="state", label=JOURNEY_COLOURS)
    def label(self, row: models.Journey) -> str:
        """As a coloured label."""
        return row.status

    @admin.display(description="next")
    def next_thing(self, row: models.Journey) -> SafeString | str:
        """What it waits for."""
        if row.waiting_on:
            due = timezone.localtime(row.waiting_on.due_at)
            return link(row.waiting_on, f"message {row.waiting_on.status}, due {due:%d %b %H:%M}")
        if row.next_action_at:
            return f"{timezone.localtime(row.next_action_at):%d %b %H:%M}"
        return "–"

    @admin.display(description="ended because")
    def exit_words(self, row: models.Journey) -> str:
        """The reason in a sentence."""
        known = row.exit_reason in set(Reason)
        return EXPLAIN[Reason(row.exit_reason)] if known else row.exit_reason or "–"

    @admin.action(description="Pause", permissions=["act"])
    def pause(self, request: HttpRequest, queryset: QuerySet[models.Journey]) -> None:
        """Hold the selected journeys."""
        done = sum(services.pause(journey=row, now=now()) for row in queryset)
        self.message_user(request, f"{done} paused.", messages.SUCCESS)

    @admin.action(description="Resume", permissions=["act"])
    def resume(self, request: HttpRequest, queryset: QuerySet[models.Journey]) -> None:
        """Let the selected journeys go on."""
        done = sum(services.resume(journey=row, now=now()) for row in queryset)
        self.message_user(request, f"{done} go on.", messages.SUCCESS)


@admin.register(models.Decision)
class DecisionAdmin(Console):
    """Why, for everybody: also for those who got nothing."""

    list_display = ("decided_at", learner_of, "sequence", "step_key", because, inputs_of)
    list_select_related = ("learner", "sequence")
    list_filter = ("sequence", ("decided_at", RangeDateTimeFilter))
    search_fields = ("learner__email", "learner__name", "=code")
    ordering = ("-pk",)
