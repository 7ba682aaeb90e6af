"""Why, for everybody: also for those who got nothing."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from config.console.lists import SpanFilter
from config.console.pages import Console
from config.console.words import moment
from nurture import models
from nurture.admin.base import OfLearner, learner_of, name_of, zone_of
from nurture.admin.people_words import seen
from nurture.domain.reasons import EXPLAIN, Reason


@admin.display(description="because")
def because(row: models.Decision) -> str:
    """A decision's code in a sentence."""
    return EXPLAIN[Reason(row.code)] if row.code in set(Reason) else row.code


@admin.display(description="from")
def inputs_of(row: models.Decision) -> str:
    """What a decision was based on, in words."""
    return seen(row.inputs, zone_of(row.learner))


@admin.register(models.Decision)
class DecisionAdmin(OfLearner, Console):
    """What was decided about whom, and from what."""

    list_display = ("when", learner_of, "which", "step_key", because, inputs_of)
    list_select_related = ("learner__contact", "sequence")
    list_filter = ("sequence", ("decided_at", SpanFilter))
    empty_words = (
        "Nothing was decided yet. Each fact leaves a line here, whether or not it leads on."
    )
    sortable_by = ()  # newest first; no other order has an index
    ordering = ("-pk",)
    fields = readonly_fields = (
        "when", learner_of, "which", "step_key", because, inputs_of, "code",
    )  # fmt: skip

    def heading(self, row: models.Decision) -> str:
        """By whom it was about."""
        return f"Decided about {name_of(row.learner)}"

    @admin.display(description="when")
    def when(self, row: models.Decision) -> SafeString:
        """On the clock of whoever looks, and on the learner's."""
        return moment(row.decided_at, zone_of(row.learner))

    @admin.display(description="sequence")
    def which(self, row: models.Decision) -> str:
        """Its name."""
        return row.sequence.name if row.sequence else "–"
