"""Journeys: the list, the page of one, and what staff may do to many."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.choices import WithChoices
from config.console.confirmation import Question
from config.console.lists import SpanFilter
from config.console.pages import Console, ReadOnlyInline, may
from config.console.words import link, moment, pill
from delivery.clock import now
from delivery.domain.states import UNSENT
from nurture import models, services
from nurture.admin.base import OfLearner, learner_of, name_of, zone_of
from nurture.admin.decisions import because, inputs_of
from nurture.domain.catching_up import Policy
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.domain.sequence import InFlight
from nurture.models import OPEN, JourneyStatus
from nurture.services.in_flight import settle_in_flight
from nurture.services.simulation import blast_radius

TONES = {"active": "good", "paused": "warn", "completed": "info", "exited": "calm"}
HEADS = ("Learner", "Sequence", "State", "Next")
#: Up to so many journeys it is worked out beforehand what an action does to each message.
MOST_FORESEEN = 200
POLICIES = {
    Policy.LATEST: "Of what each missed, only the newest that is still of use goes out, now.",
    Policy.KEEP: "They go on as if they had not been held; what they missed is dropped.",
    Policy.SHIFT: "Everything that follows is later by as long as they were held.",
}

Journeys = QuerySet[models.Journey]


class DecisionInline(ReadOnlyInline):
    """Why a journey went as it did, as a timeline."""

    model = models.Decision
    ordering = ("decided_at", "pk")
    fields = readonly_fields = ("at", "step_key", because, inputs_of)
    verbose_name_plural = "what was decided, and why"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Decision]:
        """With the learner's zone."""
        rows: QuerySet[models.Decision] = super().get_queryset(request)
        return rows.select_related("learner__contact")

    @admin.display(description="when")
    def at(self, row: models.Decision) -> SafeString:
        """On the clock of whoever looks, and on the learner's."""
        return moment(row.decided_at, zone_of(row.learner))


class HeldOrEnded(Console):
    """What staff may do to journeys: each asks first, with what it does to the messages."""

    actions = ("pause", "resume", "resume_keep", "resume_shift", "move", "end")
    has_pause_permission = may("nurture.pause_journey")
    has_end_permission = may("nurture.end_journey")

    def _ask(
        self, request: HttpRequest, rows: Journeys, act: Callable[[Journeys], str], **question: Any
    ) -> HttpResponse | None:
        return self.confirm(
            request,
            rows.select_related("learner__contact", "sequence", "version", "waiting_on"),
            Question(heads=HEADS, row=_cells, act=act, **question),
        )

    @admin.action(description="Pause", permissions=["pause"])
    def pause(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """Hold the selected journeys."""
        at, rows = now(), queryset.filter(status=JourneyStatus.ACTIVE)
        return self._ask(
            request,
            rows,
            lambda chosen: f"{services.pause_all(journeys=chosen, now=at)} paused.",
            title="Pause {count} journeys?",
            effect=f"Nothing of them goes out until they go on. {_withdrawn(rows)}",
            button="Pause {count}",
            left=_left(queryset.exclude(status=JourneyStatus.ACTIVE), "It is not under way."),
            undo="resume_keep",
        )

    def _resume(
        self, request: HttpRequest, queryset: Journeys, policy: Policy
    ) -> HttpResponse | None:
        at, rows = now(), queryset.filter(status=JourneyStatus.PAUSED)

        def act(chosen: Journeys) -> str:
            return f"{services.resume_all(journeys=chosen, policy=policy, now=at)} go on."

        return self._ask(
            request,
            rows,
            act,
            title="Let {count} journeys go on?",
            effect=f"{POLICIES[policy]} {_foreseen(request, rows, act, at)}",
            button="Let {count} go on",
            left=_left(queryset.exclude(status=JourneyStatus.PAUSED), "It is not held."),
            undo="pause",
        )

    @admin.action(description="Go on, with the newest of what was missed", permissions=["pause"])
    def resume(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """At most one message goes out at once."""
        return self._resume(request, queryset, Policy.LATEST)

    @admin.action(description="Go on, dropping what was missed", permissions=["pause"])
    def resume_keep(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """At the times that were planned."""
        return self._resume(request, queryset, Policy.KEEP)

    @admin.action(description="Go on, everything later", permissions=["pause"])
    def resume_shift(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """By as long as they were held."""
        return self._resume(request, queryset, Policy.SHIFT)

    @admin.action(description="Move to the published version", permissions=["end"])
    def move(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """At the step at which they are, or the next one that both versions have."""
        at = now()
        newest = F("sequence__published_version")
        rows = queryset.filter(status__in=OPEN).exclude(version=newest)

        def act(chosen: Journeys) -> str:
            moved = awaiting = finishing = 0
            for sequence in _sequences_of(chosen):
                assert sequence.published_version is not None, "journeys are of published ones"
                report = settle_in_flight(
                    sequence=sequence, version=sequence.published_version, policy=InFlight.MOVE,
                    now=at, among=chosen,
                )  # fmt: skip
                moved, awaiting = moved + report.moved, awaiting + report.awaiting
                finishing += report.finishing
            return (
                f"{moved} moved, {awaiting} move at the next step that both versions have,"
                f" {finishing} end as they began: the newer version has none of their steps."
            )

        return self._ask(
            request,
            rows,
            act,
            title="Move {count} journeys to the published version?",
            effect="What they owe is planned again by the newer version, unless it is on the wire."
            f" {_foreseen(request, rows, act, at)} This cannot be undone.",
            button="Move {count}",
            left=_left(
                queryset.exclude(pk__in=rows.values("pk")), "It has ended, or is of that version."
            ),
        )

    @admin.action(description="End", permissions=["end"])
    def end(self, request: HttpRequest, queryset: Journeys) -> HttpResponse | None:
        """For good."""
        at, rows = now(), queryset.filter(status__in=OPEN)
        return self._ask(
            request,
            rows,
            lambda chosen: f"{services.end_all(journeys=chosen, now=at)} ended.",
            title="End {count} journeys?",
            effect=f"They hear nothing more of these. {_withdrawn(rows)} This cannot be undone.",
            button="End {count}",
            left=_left(queryset.exclude(status__in=OPEN), "It has ended already."),
            danger=True,
        )


def _withdrawn(rows: Journeys) -> str:
    """Exactly how many messages such a withdrawal concerns now."""
    owed = rows.filter(waiting_on__status__in=UNSENT).count()
    return f"{owed} planned messages are withdrawn." if owed else "No planned message is withdrawn."


def _foreseen(
    request: HttpRequest, rows: Journeys, act: Callable[[Journeys], str], at: datetime
) -> str:
    """What it does to the messages, by doing it on copies; asked only while it is shown."""
    if "confirmed" in request.POST:
        return ""
    chosen = list(rows.values_list("pk", "learner_id")[: MOST_FORESEEN + 1])
    if not chosen:
        return ""
    if len(chosen) > MOST_FORESEEN:
        return f"Of more than {MOST_FORESEEN} it is not worked out what becomes of each message."
    keys = [key for key, _ in chosen]
    found = blast_radius(
        lambda: act(models.Journey.objects.filter(pk__in=keys)),
        now=at,
        learner_ids={learner for _, learner in chosen},
    )
    return (
        f"Messages: {len(found.appear)} are planned by it, {len(found.move)} get another time or"
        f" text, {len(found.vanish)} are withdrawn."
    )


def _sequences_of(rows: Journeys) -> list[models.Sequence]:
    keys = rows.order_by().values("sequence")
    return list(models.Sequence.objects.filter(pk__in=keys).select_related("published_version"))


def _left(rows: Journeys, why: str) -> list[tuple[object, str]]:
    some = rows.select_related("learner", "sequence").order_by("-pk")[:10]
    return [(link(row, f"{name_of(row.learner)} in {row.sequence.name}"), why) for row in some]


def _state(row: models.Journey) -> SafeString:
    known = row.exit_reason in set(Reason)
    return pill(TONES[row.status], row.status, EXPLAIN[Reason(row.exit_reason)] if known else "")


def _next(row: models.Journey) -> SafeString | str:
    """What a journey does next, and when."""
    zone = zone_of(row.learner)
    if row.waiting_on:
        words = link(row.waiting_on, f"message {row.waiting_on.status}")
        return format_html("{} {}", words, moment(row.waiting_on.run_at, zone))
    if row.next_action_at:
        return format_html("decides {}", moment(row.next_action_at, zone))
    return "–"


def _cells(row: models.Journey) -> tuple[object, ...]:
    """A journey as a page of confirmation shows it."""
    return learner_of(row), row.sequence.name, _state(row), _next(row)


@admin.register(models.Journey)
class JourneyAdmin(OfLearner, WithChoices, HeldOrEnded):
    """One learner's walk through one sequence."""

    list_display = (learner_of, "which", "state", "step_key", "next_thing", "started")
    list_display_links = ("which",)
    list_select_related = ("learner__contact", "sequence", "version", "waiting_on")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        "sequence",
        ("started_at", SpanFilter),
    )
    empty_words = "Nobody is in a sequence yet. Journeys begin when a trigger's fact happens."
    sortable_by = ()  # newest first; no other order has an index
    ordering = ("-pk",)
    inlines = (DecisionInline,)
    fields = readonly_fields = (
        learner_of, "sequence_link", "state", "cause_words", "step_key", "next_thing", "started",
        "ended",
    )  # fmt: skip

    def heading(self, row: models.Journey) -> str:
        """By learner and sequence."""
        return f"{name_of(row.learner)} in {row.sequence.name}"

    def choices(self, request: HttpRequest, row: models.Journey) -> list[tuple[str, str, str]]:
        """What may be done to a journey as it stands."""
        active, paused = row.status == JourneyStatus.ACTIVE, row.status == JourneyStatus.PAUSED
        is_old = row.version_id != row.sequence.published_version_id
        known = {
            "pause": (active, "Pause…", "Nothing goes out until it goes on."),
            "resume": (paused, "Go on…", POLICIES[Policy.LATEST]),
            "resume_keep": (paused, "Go on, dropping what was missed…", POLICIES[Policy.KEEP]),
            "resume_shift": (paused, "Go on, everything later…", POLICIES[Policy.SHIFT]),
            "move": (
                row.status in OPEN and is_old,
                "Move to the published version…",
                "At the next step that both versions have.",
            ),
            "end": (row.status in OPEN, "End…", "For good; what it owes is withdrawn."),
        }
        return [(name, words, does) for name, (fits, words, does) in known.items() if fits]

    @admin.display(description="started by")
    def cause_words(self, row: models.Journey) -> SafeString | str:
        """The fact and the class, with a link."""
        if row.session is None:
            return "–"
        fact = row.cause.kind.replace("_", " ") if row.cause else "a fact"
        words = link(row.session, f"{fact}: {row.session.title or 'class'}")
        return format_html("{} {}", words, moment(row.session.starts_at, zone_of(row.learner)))

    @admin.display(description="sequence")
    def which(self, row: models.Journey) -> str:
        """With the version it is pinned to; the link of the list."""
        return f"{row.sequence.name}, version {row.version.number}"

    @admin.display(description="sequence")
    def sequence_link(self, row: models.Journey) -> SafeString:
        """Link to the sequence."""
        return link(row.sequence, self.which(row))

    @admin.display(description="state")
    def state(self, row: models.Journey) -> SafeString:
        """Where it stands, and why it ended."""
        return _state(row)

    @admin.display(description="next")
    def next_thing(self, row: models.Journey) -> SafeString | str:
        """What it waits for."""
        return _next(row)

    @admin.display(description="started")
    def started(self, row: models.Journey) -> SafeString:
        """When it began."""
        return moment(row.started_at, zone_of(row.learner))

    @admin.display(description="ended")
    def ended(self, row: models.Journey) -> SafeString:
        """When it ended."""
        return moment(row.ended_at, zone_of(row.learner))
