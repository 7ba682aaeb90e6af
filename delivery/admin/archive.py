"""Deliveries of the past."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from config.console.lists import SpanFilter
from config.console.words import absolute, moment
from delivery import models, selectors
from delivery.admin.base import TRIES, ToChats, chat_of, state_of


@admin.register(models.ArchivedDelivery)
class ArchivedDeliveryAdmin(ToChats):
    """What ended long ago, for reading: nothing of it can be sent again."""

    list_display = ("beginning", chat_of, "state", "stream_words", "ended")
    list_filter = (("settled_at", SpanFilter),)
    told = (
        "Deliveries that ended over 90 days ago, with each of their tries. Newer ones are under"
        " Deliveries. A month goes as a whole once it was over 400 days ago."
    )
    empty_words = "Nothing is so old yet. The job “prune” moves here what ended 90 days ago."
    ordering = ("-settled_at", "-pk")
    fields = readonly_fields = (
        chat_of, "text", "state", "stream_words", "due", "sent", "ended", "tried",
    )  # fmt: skip

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
