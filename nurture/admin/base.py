"""What the pages of nurture share: read-only by default, links in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def link(obj: Any, text: str) -> SafeString:
    """A link to the admin page of `obj`, in words."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    style = "text-primary-600 dark:text-primary-500 hover:underline"
    return format_html('<a class="{}" href="{}">{}</a>', style, url, text)


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString | str:
    """Link to the learner of a row, if it is about one."""
    if row.learner is None:
        return "–"
    return link(row.learner, row.learner.name or row.learner.email)
