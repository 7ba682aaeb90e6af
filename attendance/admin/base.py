"""What the pages of attendance share: read-only by default, rows and moments in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, TabularInline

from attendance import models
from attendance.domain.reasons import EXPLAIN, Reason

OUTCOME_COLOURS = {
    "attended": "success", "late": "warning", "left early": "warning", "partial": "warning",
    "missed": "danger", "unknown": "info", "pending": "info", "excused": "info",
}  # fmt: skip
LINK = "text-primary-600 dark:text-primary-500 hover:underline"
CELL = "border-b border-base-200 p-2 align-top dark:border-base-800"


class Titled(ModelAdmin):
    """A page whose heading names its row in words; `__str__` is for logs and names nobody."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def heading(self, row: Any) -> str:
        """The row as staff would call it."""
        return str(row)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """The row, with its heading for templates/unfold/helpers/header_title.html."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            row.in_words = self.heading(row)
        return row


class Console(Titled):
    """Read-only: rows of the engine. They change through services, never through a form."""

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
    hide_title = True
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
    return format_html('<a class="{}" href="{}">{}</a>', LINK, url, text)


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> SafeString:
    """A plain table; cells are escaped unless they are safe already."""
    return format_html(
        '<div class="overflow-x-auto"><table class="w-full text-left"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        format_html_join("", '<th class="p-2 font-semibold">{}</th>', ((head,) for head in heads)),
        format_html_join(
            "",
            "<tr>{}</tr>",
            (
                (format_html_join("", '<td class="{}">{}</td>', ((CELL, cell) for cell in row)),)
                for row in rows
            ),
        ),
    )


def moment(at: datetime | None) -> str:
    """A moment on the office's clock (TIME_ZONE), with the clock's name."""
    if at is None:
        return "–"
    here = timezone.localtime(at)
    return f"{here:%a %d %b %Y, %H:%M} {here.tzname()}"


def clock(at: datetime | None) -> str:
    """The time of day alone, for rows beneath a page that names the day."""
    return "–" if at is None else f"{timezone.localtime(at):%H:%M:%S}"


def spaced(code: str) -> str:
    """A code as a word: left_early → left early."""
    return code.replace("_", " ")


def person(learner: models.Learner) -> str:
    """A learner in words."""
    return learner.name or learner.email


def class_words(session: models.ClassSession) -> str:
    """A class in words, with its start on the office's clock."""
    return f"{session.title or 'Class'}, {moment(session.starts_at)}"


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
