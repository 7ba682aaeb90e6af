"""Sequences and their versions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import StackedInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from attendance.admin.base import table
from config.console.confirmation import Question
from config.console.pages import Console, ReadOnlyInline, may, once
from config.console.words import link
from delivery import selectors as delivery_selectors
from delivery.clock import now
from delivery.models import UNTIL_OPENED
from nurture import flags, models, selectors
from nurture.admin.editor import EditorPages
from nurture.admin.insight import InsightPages
from nurture.admin.publishing import PublishingPages
from nurture.admin.publishing_choice import MODES
from nurture.domain import wording
from nurture.domain.leaving import Leaving, ranked
from nurture.domain.sequence import Mode, SequenceSpec, Step
from nurture.services.versions import spec_of

REPORT_DAYS = 90
RULES = ("Starts on", "Entry", "Hours", "Outside the hours", "Ends early on", "Cap", "Held out")


def _said(step: Step) -> str:
    """What a step says or does, after whether it is on and for whom."""
    off = "" if step.enabled else "(switched off) "
    only = f"(only if the learner {wording.condition(step.when)}) " if step.when else ""
    return f"{off}{only}{step.text or step.kind.value}"


def left_table(rows: Iterable[Leaving]) -> SafeString:
    """Steps with how many left after them, and between which shares that truly lies (95 %)."""
    heads = ("step", "messages", "left", "blocked", "said stop", "share", "95 % interval")
    lines = (
        (
            row.step_key, row.messages, row.left, row.blocked, row.stopped, f"{row.share:.1%}",
            f"{row.interval[0]:.1%} to {row.interval[1]:.1%}",
        )
        for row in rows
    )  # fmt: skip
    return table(heads, lines)


def _journeys(row: models.Sequence, words: str, query: str) -> SafeString:
    url = f"{reverse('admin:nurture_journey_changelist')}?sequence__id__exact={row.pk}{query}"
    return format_html('<a class="tb-link" href="{}">{}</a>', url, words)


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


class TriggerInline(ReadOnlyInline):
    """What starts a version."""

    model = models.AttendanceTrigger
    ordering = ("position",)
    fields = readonly_fields = ("fact", "course", "times")


@admin.register(models.Sequence)
class SequenceAdmin(EditorPages, PublishingPages, InsightPages, Console):
    """A sequence: what is published, what is a draft, who is inside."""

    list_display = ("name", "slug", "label", "published", "draft", "inside", "ended")
    list_select_related = ("published_version", "draft_version")
    list_filter = (("mode", ChoicesDropdownFilter),)
    search_fields = ("slug", "name")
    ordering = ("name",)
    readonly_fields = ("published", "draft", "rules", "as_read", "who_left")
    fields = (
        "name",
        "slug",
        "mode",
        "published",
        "draft",
        "rules",
        "as_read",
        "who_left",
    )
    actions = ("hold", "let_go")

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Sequence]:
        """With the number of open journeys, by the index of these."""
        inside = models.Journey.objects.filter(
            sequence=OuterRef("pk"), status__in=models.OPEN
        ).order_by()
        counted = inside.values("sequence").annotate(n=Count("pk")).values("n")
        rows = super().get_queryset(request).select_related(*self.list_select_related)
        return rows.annotate(open_count=Coalesce(Subquery(counted), 0))

    @display(
        description="mode", label={"live": "success", "dry_run": "warning", "stopped": "danger"}
    )
    def label(self, row: models.Sequence) -> tuple[str, str]:
        """As a coloured label."""
        return row.mode, MODES[Mode(row.mode)][0]

    @admin.display(description="published")
    def published(self, row: models.Sequence) -> SafeString | str:
        """Link to the version that runs."""
        version = row.published_version
        return link(version, f"version {version.number}") if version else "nothing yet"

    @admin.display(description="draft")
    def draft(self, row: models.Sequence) -> SafeString | str:
        """Link to what is being written."""
        version = row.draft_version
        if version is None:
            return "–"
        url = reverse("admin:nurture_sequence_publish", args=[row.pk])
        return format_html('<a class="tb-link" href="{}">version {}</a>', url, version.number)

    @admin.display(description="inside now")
    def inside(self, row: Any) -> SafeString:
        """Link to the open journeys."""
        return _journeys(row, str(row.open_count), "&status__in=active,paused")

    @admin.display(description="ended")
    def ended(self, row: Any) -> SafeString:
        """Link to those that came to an end; to count them would read them all."""
        return _journeys(row, "show", "&status__in=completed,exited")

    @once
    def _spec(self, row: models.Sequence) -> SequenceSpec | None:
        """What is published says, or the draft."""
        version = row.published_version or row.draft_version
        return spec_of(version) if version else None

    @admin.display(description="rules")
    def rules(self, row: models.Sequence) -> str:
        """Who enters and when messages may go out, in words."""
        spec = self._spec(row)
        if spec is None:
            return "Import a file with import_sequence."
        said = wording.rules(spec)
        return " ".join(f"{label}: {said[label]}." for label in RULES if label in said)

    @admin.display(description="step by step")
    def as_read(self, row: models.Sequence) -> SafeString:
        """The steps of what is published, or of the draft."""
        spec = self._spec(row)
        cell = "border-b border-base-200 p-2 align-top dark:border-base-800"
        return format_html(
            '<table class="w-full text-left"><thead><tr><th class="p-2">Step</th>'
            '<th class="p-2">When</th><th class="p-2">What</th></tr></thead>'
            "<tbody>{}</tbody></table>",
            format_html_join(
                "",
                f'<tr><td class="{cell}">{{}}</td><td class="{cell}">{{}}</td>'
                f'<td class="{cell}">{{}}</td></tr>',
                (
                    (step.key, wording.wait(step.wait), _said(step))
                    for step in (spec.steps if spec else ())
                ),
            ),
        )

    @admin.display(description=f"who left within 24 h of a message, last {REPORT_DAYS} days")
    @once
    def who_left(self, row: models.Sequence) -> SafeString | str:
        """The steps after which learners block the bot or say stop, the worst first."""
        at = now()
        since = at - timedelta(days=REPORT_DAYS)
        found = selectors.left_by_step(sequence_ids=[row.pk], since=since, now=at)
        return left_table(ranked(found[row.pk])) if found else "Nothing was sent."

    has_hold_permission = may("nurture.hold_sequence")

    def heading(self, row: models.Sequence) -> str:
        """By its name."""
        return row.name

    @admin.action(description="Hold: send nothing of it for now", permissions=["hold"])
    def hold(
        self, request: HttpRequest, queryset: QuerySet[models.Sequence]
    ) -> HttpResponse | None:
        """Close the streams."""
        return self._switch(request, queryset, on=False)

    @admin.action(description="Let it go on", permissions=["hold"])
    def let_go(
        self, request: HttpRequest, queryset: QuerySet[models.Sequence]
    ) -> HttpResponse | None:
        """Open the streams."""
        return self._switch(request, queryset, on=True)

    def _switch(
        self, request: HttpRequest, queryset: QuerySet[models.Sequence], *, on: bool
    ) -> HttpResponse | None:
        def act(rows: QuerySet[models.Sequence]) -> str:
            for slug in rows.values_list("slug", flat=True):
                flags.set_stream(slug=slug, on=on, by=request.user.get_username())
            return "Going on." if on else "Held. Nothing is lost; it waits."

        closed = {
            gate.key.removeprefix(flags.STREAM_PREFIX): gate.reason
            for gate in delivery_selectors.closed_gates()
            if on or gate.closed_until >= UNTIL_OPENED  # what opens by itself may be held as well
        }
        held = Q(slug__in=closed)
        why = "It is not held." if on else "It is held already: {}"
        left = [
            (link(row, row.name), why.format(closed.get(row.slug, "")))
            for row in queryset.filter(~held if on else held)[:10]
        ]
        effect = (
            "What waits goes out, at the usual pace."
            if on
            else "Nothing of them goes out; it waits."
        )
        return self.confirm(
            request,
            queryset.filter(held if on else ~held),
            Question(
                title="Let {count} sequences go on?" if on else "Hold {count} sequences?",
                effect=effect,
                button="Let {count} go on" if on else "Hold {count}",
                heads=("Sequence", "Inside now"),
                row=lambda row: (row.name, self.inside(row)),
                act=act,
                left=left,
                undo="" if on else "let_go",
                danger=not on,
            ),
        )


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
