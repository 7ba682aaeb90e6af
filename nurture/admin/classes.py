"""What sequences made of the facts of a class, on the class's own page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from attendance.admin.classes import ClassSessionAdmin, Consequences
from attendance.models import ClassSession
from attendance.selectors import ClassPage
from config.console.words import pill
from delivery.domain import reasons as delivery_reasons
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.models import Decision

_FIELDS = (
    "pk", "learner_id", "code", "step_key", "journey_id", "journey__status", "journey__exit_reason",
    "journey__sequence__name", "sequence__name", "delivery_id", "delivery__status",
    "delivery__reason",
)  # fmt: skip
_JOURNEY = {"active": "info", "paused": "warn", "completed": "good", "exited": "calm"}
_DELIVERY = {
    "sent": "good", "unknown": "warn", "failed": "bad", "dead": "bad", "pending": "info",
    "leased": "info", "sending": "info",
}  # fmt: skip


Row = Mapping[str, Any]  # of _FIELDS

admin.site.unregister(ClassSession)


@admin.register(ClassSession)
class ClassWithConsequences(ClassSessionAdmin):
    """The page of a class, with what was sent, withdrawn or left because of it."""

    def consequences(self, page: ClassPage, learner_ids: Sequence[int]) -> Consequences:
        """For each of these learners: journeys with their deliveries, or why none began.

        One statement.
        """
        if not page.facts:
            return {}
        shown = set(learner_ids)
        facts = [fact.pk for fact in page.facts if fact.learner_id in shown]
        of_facts = Decision.objects.filter(event__in=facts)
        of_journeys = Decision.objects.filter(
            journey__session=page.known.session, delivery__isnull=False, learner__in=shown
        )
        rows = of_facts.values(*_FIELDS).union(of_journeys.values(*_FIELDS)).order_by("pk")
        by_learner: dict[int, list[Row]] = defaultdict(list)
        for row in rows:
            by_learner[row["learner_id"]].append(row)
        return {pk: _words(found) for pk, found in by_learner.items()}


def _words(rows: Iterable[Row]) -> list[SafeString]:
    """Journeys first, then each reason for which a sequence did nothing, once."""
    journeys: dict[int, list[Row]] = defaultdict(list)
    idle: dict[tuple[str | None, str], None] = {}  # a set that keeps its order
    for row in rows:
        if row["journey_id"]:
            journeys[row["journey_id"]].append(row)
        else:
            idle[row["sequence__name"], row["code"]] = None
    return [*map(_journey, journeys.values()), *(_idle(name, code) for name, code in idle)]


def _journey(rows: Sequence[Row]) -> SafeString:
    """A journey and where it stands, then its deliveries, each as it stands."""
    first = rows[0]
    status, exit_reason = first["journey__status"], first["journey__exit_reason"]
    deliveries = {row["delivery_id"]: row for row in rows if row["delivery_id"]}
    return format_html(
        '<a class="tb-link" href="{}">{}</a> {}{}',
        reverse("admin:nurture_journey_change", args=[first["journey_id"]]),
        first["journey__sequence__name"],
        pill(_JOURNEY[status], status, _because(exit_reason) if exit_reason else ""),
        format_html_join("", "{}", ((_delivery(row),) for row in deliveries.values())),
    )


def _delivery(row: Row) -> SafeString:
    status, reason = row["delivery__status"] or "in the archive", row["delivery__reason"]
    known = reason in set(delivery_reasons.Reason)
    why = delivery_reasons.EXPLAIN[delivery_reasons.Reason(reason)] if known else reason
    return format_html(
        '<span class="at-under"><a class="tb-link" href="{}">{}</a> {}</span>',
        reverse("admin:delivery_delivery_change", args=[row["delivery_id"]]),
        row["step_key"] or "message",
        pill(_DELIVERY.get(status, "calm"), status, why),
    )


def _idle(name: str | None, code: str) -> SafeString:
    said = _because(code)
    return format_html("{}: {}", name, said) if name else format_html("{}", said)


def _because(code: str) -> str:
    return EXPLAIN[Reason(code)] if code in set(Reason) else code
