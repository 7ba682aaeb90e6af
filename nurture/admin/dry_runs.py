"""What dry runs would have said: read it, let it go out after all, or discard it (P24)."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from config.console.confirmation import Question
from config.console.lists import SpanFilter
from config.console.pages import Console, may
from config.console.words import link, moment, pill
from delivery.clock import now
from delivery.domain import reasons as delivery_reasons
from delivery.models import DRY_STREAMS, Gate
from nurture.domain.reasons import Reason
from nurture.models import Decision, WouldSend
from nurture.services import dry_runs


class SequenceFilter(admin.SimpleListFilter):
    """Of which sequence."""

    title = "sequence"
    parameter_name = "sequence"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The sequences that ever had a dry run."""
        gates = Gate.objects.filter(key__startswith=DRY_STREAMS).order_by("key")
        keys = gates.values_list("key", flat=True)
        return [(key, key.removeprefix(DRY_STREAMS)) for key in keys]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WouldSend]) -> QuerySet[WouldSend]:
        """Those of one."""
        return queryset.filter(stream=self.value()) if self.value() else queryset


class VerdictFilter(admin.SimpleListFilter):
    """Whether a person has decided."""

    title = "decided"
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What there is."""
        return [("open", "not yet"), ("released", "released"), ("discarded", "discarded")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[WouldSend]) -> QuerySet[WouldSend]:
        """Those."""
        match self.value():
            case "open":
                would = delivery_reasons.Reason.DRY_RUN
                return queryset.filter(dry_run_verdict__isnull=True, reason=would)
            case "released":
                return queryset.filter(dry_run_verdict__released=True)
            case "discarded":
                return queryset.filter(dry_run_verdict__released=False)
        return queryset


@admin.register(WouldSend)
class WouldSendAdmin(Console):
    """A message of a dry run, and what a person made of it."""

    list_display = ("text", "learner", "sequence", "state", "when")
    list_select_related = ("dry_run_verdict__by",)
    list_filter = (SequenceFilter, VerdictFilter, ("settled_at", SpanFilter))
    search_fields = ("text",)
    search_help_text = "Words of the text"
    told = (
        "What sequences on “Dry run” would have sent. Nobody got it. Tick what should go out after"
        " all, or discard it; each asks first, and what is left alone stays as it is."
    )
    ordering = ("-pk",)
    fields = readonly_fields = ("learner", "sequence", "state", "when", "text", "buttons")
    actions = ("release", "discard")
    empty_words = (
        "No sequence pretends. Put one on “Dry run” and what it would send to real learners is "
        "kept here, for you to read, release or discard."
    )
    has_release_permission = may("nurture.release_dry_run")

    def heading(self, row: WouldSend) -> str:
        """By its first words."""
        return row.text[:60]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WouldSend]:
        """Each with the decision that planned it."""
        rows: QuerySet[WouldSend] = super().get_queryset(request)
        return rows.prefetch_related("decisions__learner__contact", "decisions__sequence")

    @admin.display(description="learner")
    def learner(self, row: WouldSend) -> SafeString | str:
        """Whom it would have reached."""
        told = _planned(row)
        return link(told.learner, told.learner.name or told.learner.email) if told else "–"

    @admin.display(description="sequence and step")
    def sequence(self, row: WouldSend) -> str:
        """Of what it is."""
        told = _planned(row)
        name = told.sequence.name if told and told.sequence else "–"
        return f"{name}: {told.step_key}" if told else name

    @admin.display(description="state")
    def state(self, row: WouldSend) -> SafeString:
        """What became of it."""
        verdict = getattr(row, "dry_run_verdict", None)
        if verdict is not None:
            by = f"by {verdict.by.get_username()}" if verdict.by else ""
            return (
                pill("good", "released", by) if verdict.released else pill("calm", "discarded", by)
            )
        if row.reason == delivery_reasons.Reason.DRY_RUN:
            return pill("info", "would have gone out")
        if row.settled_at is None:
            return pill("calm", "not yet due")
        return pill(
            "calm", row.status, delivery_reasons.EXPLAIN[delivery_reasons.Reason(row.reason)]
        )

    @admin.display(description="when")
    def when(self, row: WouldSend) -> SafeString:
        """When it would have gone out, or will have."""
        told = _planned(row)
        contact = getattr(told.learner, "contact", None) if told else None
        return moment(row.settled_at or row.run_at, contact.time_zone if contact else "")

    @admin.action(description="Let it go out after all", permissions=["release"])
    def release(self, request: HttpRequest, queryset: QuerySet[WouldSend]) -> HttpResponse | None:
        """Owe the learners what was only pretended."""
        going, left = dry_runs.sort_out(delivery_ids=_keys(queryset), now=now())
        rows = queryset.filter(pk__in=[row.delivery_id for row in going])
        return self.confirm(
            request,
            rows,
            Question(
                title="Let {count} messages go out?",
                effect="The learners get them now, within their hours, unless they said stop.",
                button="Send {count}",
                heads=("Learner", "Of", "Text"),
                row=lambda row: (self.learner(row), self.sequence(row), row.text),
                act=lambda rows: self._release(request, rows),
                left=[(row.delivery.text[:60] if row.delivery else "–", why) for row, why in left],
                danger=True,
            ),
        )

    def _release(self, request: HttpRequest, rows: QuerySet[WouldSend]) -> str:
        by = cast(User, request.user)
        return f"{dry_runs.release(delivery_ids=_keys(rows), by=by, now=now())} will be sent."

    @admin.action(description="Discard", permissions=["release"])
    def discard(self, request: HttpRequest, queryset: QuerySet[WouldSend]) -> HttpResponse | None:
        """Nobody wants them to go out."""
        would = delivery_reasons.Reason.DRY_RUN
        return self.confirm(
            request,
            queryset.filter(dry_run_verdict__isnull=True, reason=would),
            Question(
                title="Discard {count} messages?",
                effect="They stay here, and cannot be released any more.",
                button="Discard {count}",
                heads=("Learner", "Of", "Text"),
                row=lambda row: (self.learner(row), self.sequence(row), row.text),
                act=lambda rows: self._discard(request, rows),
            ),
        )

    def _discard(self, request: HttpRequest, rows: QuerySet[WouldSend]) -> str:
        by = cast(User, request.user)
        return f"{dry_runs.discard(delivery_ids=_keys(rows), by=by, now=now())} discarded."


def _keys(rows: QuerySet[WouldSend]) -> list[int]:
    return list(rows.values_list("pk", flat=True))


def _planned(row: WouldSend) -> Decision | None:
    """The decision that planned it."""
    found = (told for told in row.decisions.all() if told.code == Reason.STEP_PLANNED)
    return next(found, None)
