"""What admin classes share: headings in words, read-only rows, permissions by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline

from config.console.confirmation import Confirmed
from config.console.lists import CappedPaginator

PERSONAL = "attendance.see_personal_data"


def may(permission: str) -> Callable[[Any, HttpRequest], bool]:
    """A `has_…_permission` method that asks for one permission, as `app.codename`.

    `@admin.action(permissions=["resend"])` asks `has_resend_permission = may("app.codename")`.
    """

    def check(self: Any, request: HttpRequest) -> bool:
        return bool(request.user.has_perm(permission))

    return check


def once(read: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """For a read-only field that asks the database: it does so once for each row of a request.

    unfold reads such a field four times, and shows a dash where it raises ValueError.
    """

    @wraps(read)
    def shown(self: Any, row: Any) -> Any:
        kept = row.__dict__.setdefault("shown_once", {})
        if read.__name__ not in kept:
            kept[read.__name__] = read(self, row)
        return kept[read.__name__]

    return shown


class Titled(Confirmed, ModelAdmin):
    """A page whose heading names its row in words; `__str__` is for logs and names nobody."""

    list_per_page = 50
    paginator = CappedPaginator
    show_full_result_count = False
    list_filter_submit = True
    #: What an empty list says, and the address and words of its button.
    empty_words = ""
    empty_button: tuple[str, str] | None = None
    #: What the list is and what to do with it, in a sentence or two above it.
    told = ""
    list_before_template = "console/told.html"
    #: Rows that are nothing but personal data are for those who may see such.
    personal = False

    def heading(self, row: Any) -> str:
        """The row as staff would call it."""
        return str(row)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As everywhere; personal rows need the right to see personal data as well."""
        if self.personal and not request.user.has_perm(PERSONAL):
            return False
        return bool(super().has_view_permission(request, obj))

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
        """Nobody adds these by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Nobody edits them in a form; see the actions."""
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
