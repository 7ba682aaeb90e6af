"""What waits for a person: what cannot be known, and what was given up, each with its evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.console.words import moment, pill
from delivery import models
from delivery.admin.base import chat_of, try_words, why_of
from delivery.admin.deliveries import DeliveryAdmin
from delivery.domain.again import why_not_again
from delivery.domain.reasons import EXPLAIN

QUARANTINE = timedelta(minutes=15)


class QueueAdmin(DeliveryAdmin):
    """A work queue: what happened to each, and what each choice does, above the list."""

    told: str
    means: tuple[tuple[str, str], ...]
    list_display = ("beginning", chat_of, "happened", "since", "may_go_again", "stream_words")
    list_filter = ()
    list_before_template = "admin/delivery/queue.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the tries, and the clock that quarantine goes by."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.annotate(now=models.BusinessNow()).prefetch_related("tries")

    @admin.display(description="what happened")
    def happened(self, row: models.Delivery) -> SafeString:
        """The reason, and the last try as evidence."""
        tries = sorted(row.tries.all(), key=lambda one: one.fence)
        evidence = try_words(tries[-1]) if tries else "It was never tried."
        count = f" Tried {len(tries)} times." if len(tries) > 1 else ""
        return format_html('{}<p class="tb-help">{}{}</p>', why_of(row), evidence, count)

    @admin.display(description="since")
    def since(self, row: models.Delivery) -> SafeString:
        """When it came to this."""
        return moment(row.intent_at or row.settled_at, row.window_zone)

    @admin.display(description="may go again")
    def may_go_again(self, row: Any) -> SafeString:
        """Whether, and if not, why not; of one in quarantine, until when."""
        refusal = why_not_again(
            status=row.status,
            is_settled=row.settled_at is not None,
            withdrawal=row.withdrawal,
            expires_at=row.expires_at,
            now=row.now,
        )
        if refusal is None:
            return pill("good", "yes")
        if row.settled_at is None and row.intent_at:
            return format_html("{} {}", pill("warn", "from"), moment(row.intent_at + QUARANTINE))
        return pill("calm", "no", EXPLAIN[refusal])


@admin.register(models.UnknownDelivery)
class UnknownAdmin(QueueAdmin):
    """What cannot be known."""

    actions = ("confirm_arrival", "again", "drop")
    told = (
        "Each of these may have arrived, or not: the request went out and no answer was recorded."
        " Telegram cannot be asked afterwards, so telbot never sends them again by itself. A button"
        " that a learner presses proves an arrival and takes it off this list."
    )
    means = (
        ("It did arrive", "You know of it, from the learner or the chat: it counts as sent."),
        ("Send again", "Whoever did get it gets it twice. Consent, hours, caps and gates are asked"
         " once more. Not before its answer can no longer come (15 minutes)."),
        ("Drop", "It counts as not sent and never goes again. Cannot be undone."),
    )  # fmt: skip
    empty_words = "Nothing is in doubt: of every message it is known whether Telegram took it."


@admin.register(models.DeadDelivery)
class DeadAdmin(QueueAdmin):
    """What was given up."""

    actions = ("again", "drop")
    told = (
        "Each of these certainly did not go out: it failed as often as it may be tried, or workers"
        " died while they held it. Their journeys have gone on. Only if one of its tries is called"
        " unknown, as it was sent again since, that copy may have arrived."
    )
    means = (
        ("Send again", "It is owed once more with all its tries, unless it is of no use any more."),
        ("Drop", "It counts as not sent and never goes again. Cannot be undone."),
    )
    empty_words = "Nothing was given up."
