"""Deliveries of the past."""

from __future__ import annotations

from html import unescape
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join, strip_tags
from django.utils.safestring import SafeString

from config.console.lists import SpanFilter, of_people
from config.console.pages import Console
from config.console.words import absolute, moment
from delivery import models, selectors
from delivery.admin.base import TRIES, WHOSE, chat_of, found_chats, person_of, state_of


@admin.register(models.ArchivedDelivery)
class ArchivedDeliveryAdmin(Console):
    """What ended long ago, for reading: nothing of it can be sent again."""

    list_display = ("beginning", chat_of, "state", "stream_words", "ended")
    list_select_related = (f"chat__{WHOSE}",)
    list_filter = (("settled_at", SpanFilter),)
    search_fields = ("=dedupe_key",)
    search_help_text = "A learner's name or address, a Telegram id, or the key of a delivery"
    empty_words = "Nothing is so old yet. The job “prune” moves here what ended 90 days ago."
    sortable_by = ()
    ordering = ("-settled_at", "-pk")
    fields = readonly_fields = (
        chat_of, "text", "state", "stream_words", "due", "sent", "ended", "tried",
    )  # fmt: skip

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By whom it was for, found first, or by its key."""
        if not search_term:
            return queryset, False
        chats = found_chats(search_term)
        if not chats.exists():
            return queryset.filter(dedupe_key=search_term), False
        return of_people(queryset, "chat", chats), False

    def heading(self, row: models.ArchivedDelivery) -> str:
        """By whom it was for and its first words."""
        return f"To {person_of(row.chat)}: {row.text[:40]}"

    @admin.display(description="text")
    def beginning(self, row: models.ArchivedDelivery) -> str:
        """Its first words."""
        return unescape(strip_tags(row.text))[:60] or "–"

    @admin.display(description="state")
    def state(self, row: models.ArchivedDelivery) -> SafeString:
        """How it ended, and why."""
        return state_of(selectors.as_it_was(row))

    @admin.display(description="sequence")
    def stream_words(self, row: models.ArchivedDelivery) -> str:
        """The stream without its prefix."""
        return row.stream.removeprefix("stream:") or "–"

    @admin.display(description="due")
    def due(self, row: models.ArchivedDelivery) -> SafeString:
        """When it was planned for."""
        return moment(row.due_at)

    @admin.display(description="sent")
    def sent(self, row: models.ArchivedDelivery) -> SafeString:
        """When Telegram took it."""
        return moment(row.sent_at)

    @admin.display(description="ended")
    def ended(self, row: models.ArchivedDelivery) -> SafeString:
        """When it came to its end."""
        return moment(row.settled_at)

    @admin.display(description="tries")
    def tried(self, row: models.ArchivedDelivery) -> SafeString | str:
        """Each try, and what came back."""
        began = models.Attempt._meta.get_field("started_at").to_python
        lines = (
            (absolute(began(one["started_at"])), TRIES[one["outcome"]], one["description"])
            for one in row.tries
        )
        return format_html_join("", "<div>{}: {} {}</div>", lines) or "–"
