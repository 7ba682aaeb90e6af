"""What the pages of nurture share."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.utils.safestring import SafeString

from config.console.words import link


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString | str:
    """Link to the learner of a row, if it is about one."""
    if row.learner is None:
        return "–"
    return link(row.learner, row.learner.name or row.learner.email)
