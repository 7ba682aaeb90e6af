"""What the pages of nurture share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from attendance import selectors as attendance
from attendance.models import Learner
from config.console.lists import of_people
from config.console.words import link


class OfLearner:
    """For lists of rows about a learner: they are searched by whose they are."""

    search_fields = ("learner__name",)  # shows the box; get_search_results does the search
    search_help_text = "A learner's name or address"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The learners first, then their rows by index."""
        if not search_term:
            return queryset, False
        return of_people(queryset, "learner", attendance.named(search_term)), False


def name_of(learner: Learner | None) -> str:
    """A learner in words."""
    return (learner.name or learner.email) if learner else "nobody in particular"


def zone_of(learner: Learner | None) -> str:
    """The zone that a learner named; empty where none is known."""
    contact = getattr(learner, "contact", None)
    return contact.time_zone if contact else ""


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString | str:
    """Link to the learner of a row."""
    return link(row.learner, name_of(row.learner)) if row.learner else "–"
