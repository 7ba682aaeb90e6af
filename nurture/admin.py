"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, StackedInline, TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from delivery.clock import now
from nurture import flags, models, services
from nurture.domain.reasons import EXPLAIN, Reason

JOURNEY_COLOURS = {
    "active": "success",
    "paused": "warning",
    "completed": "info",
    "exited": "danger",
}


class Console(ModelAdmin):
    """Read-only: rows of the engine. They change through services, never through a form."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits them in a form; see the actions."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes them."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may use the actions: the right to change, though there is no form."""
        meta = self.opts
        return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))


def link(obj: Any, text: str) -> SafeString:
    """A link to the admin page of `obj`, in words."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html('<a href="{}">{}</a>', url, text)


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString:
    """Link to the learner of a row."""
    return link(row.learner, row.learner.name or row.learner.email)


@admin.display(description="because")
def because(row: models.Decision) -> str:
    """A decision's code in a sentence."""
    return EXPLAIN[Reason(row.code)] if row.code in set(Reason) else row.code


@admin.display(description="from")
def inputs_of(row: models.Decision) -> str:
    """What a decision was based on, in words."""
    return ", ".join(f"{key}: {value}" for key, value in row.inputs.items()) or "–"


class StepInline(StackedInline):
    """The steps of a version in order."""

    model = models.Step
    extra = 0
    can_delete = False
    ordering = ("position",)
    fields = readonly_fields = (
        "key", "kind", "enabled", "wait", "when", "text", "texts", "buttons", "expires", "options",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Steps come with the file (import_sequence)."""
        return False


class TriggerInline(TabularInline):
    """What starts a version."""

    model = models.AttendanceTrigger
    extra = 0
    can_delete = False
    ordering = ("position",)
    fields = readonly_fields = ("fact", "course", "times")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Triggers come with the file (import_sequence)."""
        return False


@admin.register(models.Sequence)
class SequenceAdmin(Console):
    """A sequence: what is published, what is a draft, who is inside."""

    list_display = ("name", "slug", "label", "published", "draft", "inside", "ended")
    list_select_related = ("published_version", "draft_version")
    list_filter = (("mode", ChoicesDropdownFilter),)
    search_fields = ("slug", "name")
    ordering = ("name",)
    readonly_fields = ("as_read",)
    fields = (
        "name", "slug", "mode", "published_version", "draft_version", "created_at", "as_read",
    )  # fmt: skip
    actions = ("publish_draft", "hold", "let_go")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Sequence]:
        """With the number of journeys."""
        return (
            super()
            .get_queryset(request)
            .annotate(
                open_count=Count("journeys", filter=Q(journeys__status__in=models.OPEN)),
                ended_count=Count("journeys", filter=~Q(journeys__status__in=models.OPEN)),
            )
        )

    @display(
        description="mode", label={"live": "success", "dry_run": "warning", "stopped": "danger"}
    )
    def label(self, row: models.Sequence) -> str:
        """As a coloured label."""
        return row.mode

    @admin.display(description="published")
    def published(self, row: models.Sequence) -> SafeString | str:
        """Link to the version that runs."""
        version = row.published_version
        return link(version, f"version {version.number}") if version else "nothing yet"

    @admin.display(description="draft")
    def draft(self, row: models.Sequence) -> SafeString | str:
        """Link to what is being written."""
        version = row.draft_version
        return link(version, f"version {version.number}") if version else "–"

    @admin.display(description="inside now")
    def inside(self, row: Any) -> SafeString:
        """Link to the open journeys."""
        url = reverse("admin:nurture_journey_changelist")
        return format_html('<a href="{}?q={}">{}</a>', url, row.slug, row.open_count)

    @admin.display(description="ended")
    def ended(self, row: Any) -> int:
        """How many journeys came to an end."""
        return int(row.ended_count)

    @admin.display(description="step by step")
    def as_read(self, row: models.Sequence) -> SafeString:
        """The file of what is published, or of the draft."""
        version = row.published_version or row.draft_version
        source = version.source if version else "Import a file with import_sequence."
        return format_html('<pre class="whitespace-pre-wrap text-sm">{}</pre>', source)

    @admin.action(description="Publish the draft", permissions=["act"])
    def publish_draft(self, request: HttpRequest, queryset: QuerySet[models.Sequence]) -> None:
        """Make drafts what new journeys run on."""
        for sequence in queryset.filter(draft_version__isnull=False):
            version = services.publish(sequence=sequence, now=now())
            said = f"{sequence.slug}: version {version.number} is published."
            self.message_user(request, said, messages.SUCCESS)

    @admin.action(description="Hold: send nothing of it for now", permissions=["act"])
    def hold(self, request: HttpRequest, queryset: QuerySet[models.Sequence]) -> None:
        """Close the streams."""
        self._switch(request, queryset, on=False)

    @admin.action(description="Let it go on", permissions=["act"])
    def let_go(self, request: HttpRequest, queryset: QuerySet[models.Sequence]) -> None:
        """Open the streams."""
        self._switch(request, queryset, on=True)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[models.Sequence], *, on: bool
    ) -> None:
        for slug in queryset.values_list("slug", flat=True):
            flags.set_stream(slug=slug, on=on, by=request.user.get_username())
        said = "Going on." if on else "Held. Nothing is lost; it waits."
        self.message_user(request, said, messages.SUCCESS)


@admin.register(models.SequenceVersion)
class SequenceVersionAdmin(Console):
    """One state of a sequence, with its steps and triggers."""

    list_display = ("sequence", "number", "status", "created_at", "published_at")
    list_select_related = ("sequence",)
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("sequence__slug", "name")
    ordering = ("-pk",)
    exclude = ("source", "checksum")
    inlines = (TriggerInline, StepInline)


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


@admin.register(models.Contact)
class ContactAdmin(ModelAdmin):
    """How a learner is reached."""

    list_display = (learner_of, "linked", "time_zone", "language")
    list_select_related = ("learner", "chat")
    search_fields = ("learner__email", "learner__name", "=chat__telegram_id")
    autocomplete_fields = ("learner", "chat")
    ordering = ("-pk",)
    list_per_page = 50

    @admin.display(description="linked", boolean=True)
    def linked(self, row: models.Contact) -> bool:
        """Whether there is a chat."""
        return row.chat_id is not None


@admin.register(models.StaffTask)
class StaffTaskAdmin(Console):
    """What only a person can do."""

    list_display = ("kind", learner_of, "note", "created_at", "done_at")
    list_select_related = ("learner",)
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("learner__email", "note")
    ordering = ("-pk",)
    actions = ("done",)

    @admin.action(description="Done", permissions=["act"])
    def done(self, request: HttpRequest, queryset: QuerySet[models.StaffTask]) -> None:
        """Mark as done by whoever is logged in."""
        count = queryset.filter(done_at=None).update(done_at=now(), done_by=request.user)
        self.message_user(request, f"{count} done.", messages.SUCCESS)


@admin.register(models.ContactTag)
class ContactTagAdmin(ModelAdmin):
    """Tags that sequences put on contacts."""

    list_display = ("name", "contact", "created_at")
    list_select_related = ("contact",)
    search_fields = ("name", "contact__learner__email")
    autocomplete_fields = ("contact",)
    ordering = ("name", "pk")


@admin.register(models.LinkToken)
class LinkTokenAdmin(Console):
    """Invitations; the token itself is known to nobody but its receiver."""

    list_display = (learner_of, "created_at", "expires_at", "used_at")
    list_select_related = ("learner",)
    search_fields = ("learner__email",)
    exclude = ("token_hash",)
    ordering = ("-pk",)


@admin.register(models.HoldoutAssignment)
class HoldoutAssignmentAdmin(Console):
    """Who was left alone for comparison."""

    list_display = ("sequence", learner_of, "held_out", "assigned_at")
    list_select_related = ("sequence", "learner")
    list_filter = ("held_out", "sequence")
    search_fields = ("learner__email",)
    ordering = ("-pk",)
