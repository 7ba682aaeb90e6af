"""What the pages of attendance share: rows and moments in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from attendance import models
from attendance.domain.reasons import EXPLAIN, Reason
from config.console.words import absolute as moment
from config.console.words import link

OUTCOME_COLOURS = {
    "attended": "success", "late": "warning", "left early": "warning", "partial": "warning",
    "missed": "danger", "unknown": "info", "pending": "info", "excused": "info",
}  # fmt: skip


def table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> SafeString:
    """A plain table; cells are escaped unless they are safe already."""
    return format_html(
        '<div class="tb-scroll" tabindex="0"><table class="tb-table"><thead><tr>{}</tr></thead>'
        "<tbody>{}</tbody></table></div>",
        format_html_join("", '<th scope="col">{}</th>', ((head,) for head in heads)),
        format_html_join(
            "",
            "<tr>{}</tr>",
            ((format_html_join("", "<td>{}</td>", ((cell,) for cell in row)),) for row in rows),
        ),
    )


def clock(at: datetime | None) -> str:
    """The time of day alone, for rows beneath a page that names the day."""
    return "–" if at is None else f"{timezone.localtime(at):%H:%M:%S}"


def minute(at: datetime | None) -> str:
    """The time of day to the minute, beside a bar."""
    return "–" if at is None else f"{timezone.localtime(at):%H:%M}"


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
