"""What the pages of nurture share: read-only by default, links in words."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin


class Console(ModelAdmin):
    """Read-only: rows of the engine. They change through services, never through a form."""

    list_per_page = 50
    show_full_result_count = False
    list_filter_submit = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits them in a form; see the actions."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody deletes them."""
        return False

    def has_act_permission(self, request: HttpRequest) -> bool:
        """Whether somebody may use the actions: the right to change, though there is no form."""
        meta = self.opts
        return bool(request.user.has_perm(f"{meta.app_label}.change_{meta.model_name}"))


def link(obj: Any, text: str) -> SafeString:
    """A link to the admin page of `obj`, in words."""
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html('<a href="{}">{}</a>', url, text)


@admin.display(description="learner")
def learner_of(row: Any) -> SafeString:
    """Link to the learner of a row."""
    return link(row.learner, row.learner.name or row.learner.email)
