"""Journeys, and why they went as they did."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from config.console.confirmation import Question
from config.console.pages import Console, ReadOnlyInline, may
from config.console.words import link
from delivery.clock import now
from nurture import models, services
from nurture.admin.base import learner_of
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


class DecisionInline(ReadOnlyInline):
    """Why a journey went as it did, as a timeline."""

    model = models.Decision
    ordering = ("decided_at", "pk")
    fields = readonly_fields = ("decided_at", "there", "step_key", because, inputs_of)
    verbose_name_plural = "what was decided, and why"

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
    list_display_links = ("label",)
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

    has_pause_permission = may("nurture.pause_journey")

    def heading(self, row: models.Journey) -> str:
        """By learner and sequence."""
        return f"{row.learner.name or row.learner.email} in {row.sequence.name}"

    @admin.action(description="Pause", permissions=["pause"])
    def pause(
        self, request: HttpRequest, queryset: QuerySet[models.Journey]
    ) -> HttpResponse | None:
        """Hold the selected journeys."""

        def act(rows: QuerySet[models.Journey]) -> str:
            done = sum(services.pause(journey=row, now=now()) for row in rows)
            return f"{done} paused."

        return self.confirm(
            request,
            queryset.filter(status="active"),
            Question(
                title="Pause {count} journeys?",
                effect="Nothing of them goes out until somebody lets them go on.",
                button="Pause {count}",
                heads=JOURNEY_HEADS,
                row=_cells,
                act=act,
                undo="resume",
            ),
        )

    @admin.action(description="Resume", permissions=["pause"])
    def resume(
        self, request: HttpRequest, queryset: QuerySet[models.Journey]
    ) -> HttpResponse | None:
        """Let the selected journeys go on."""

        def act(rows: QuerySet[models.Journey]) -> str:
            done = sum(services.resume(journey=row, now=now()) for row in rows)
            return f"{done} go on."

        return self.confirm(
            request,
            queryset.filter(status="paused"),
            Question(
                title="Let {count} journeys go on?",
                effect="What fell due meanwhile goes out as their sequence says.",
                button="Let {count} go on",
                heads=JOURNEY_HEADS,
                row=_cells,
                act=act,
            ),
        )


JOURNEY_HEADS = ("Learner", "Sequence", "State")


def _cells(row: models.Journey) -> tuple[object, ...]:
    """A journey as a page of confirmation shows it."""
    return learner_of(row), row.sequence.name, row.status


@admin.register(models.Decision)
class DecisionAdmin(Console):
    """Why, for everybody: also for those who got nothing."""

    list_display = ("decided_at", learner_of, "sequence", "step_key", because, inputs_of)
    list_select_related = ("learner", "sequence")
    list_filter = ("sequence", ("decided_at", RangeDateTimeFilter))
    search_fields = ("learner__email", "learner__name", "=code")
    ordering = ("-pk",)
