"""What is held back, by whom, and which database this is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.confirmation import Question
from config.console.pages import Console, may
from config.console.words import moment, pill
from delivery import models, services
from delivery.models import UNTIL_OPENED
from delivery.services.gates import FENCE, SWITCH

#: Gates that are not turned in the list, and what turns them. Who opened that of a copy would send
#: once more what the original has sent since; with that of the switch, all while it says off.
ELSEWHERE = {
    FENCE: "only manage.py post_restore, which asks until when the original sent",
    SWITCH: "only the switch “deliver”: on the page Rollout, or manage.py switch deliver",
}


@admin.register(models.Gate)
class GateAdmin(Console):
    """What is held back, and by whom."""

    list_display = ("key", "state", "until", "closed_by", "pace")
    list_filter = (("scope", ChoicesDropdownFilter),)
    search_fields = ("key",)
    ordering = ("scope", "key")
    actions = ("close", "open_again")

    @admin.display(description="state")
    def state(self, row: Any) -> SafeString:
        """Open, or closed and why."""
        closed = row.closed_until > row.now
        return pill("bad", "closed", row.reason) if closed else pill("good", "open")

    @admin.display(description="until")
    def until(self, row: Any) -> object:
        """When it opens by itself, if it does."""
        if row.closed_until <= row.now:
            return "–"
        return "somebody opens it" if row.closed_until >= UNTIL_OPENED else moment(row.closed_until)

    @admin.display(description="pace")
    def pace(self, row: models.Gate) -> str:
        """Of the gates that pace."""
        return f"{row.rate:g} a second" if row.rate else "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Gate]:
        """With the clock that gates go by."""
        rows: QuerySet[models.Gate] = super().get_queryset(request)
        return rows.annotate(now=Now())

    has_switch_permission = may("delivery.switch_gate")

    def ask(
        self, request: HttpRequest, queryset: QuerySet[models.Gate], question: Question
    ) -> HttpResponse | None:
        """As everywhere; what is turned elsewhere stays as it is."""
        left = [(row.key, ELSEWHERE[row.key]) for row in queryset.filter(key__in=ELSEWHERE)]
        rows = queryset.exclude(key__in=ELSEWHERE)
        if question.undo:  # who closed it, and why, stays
            closed = rows.filter(closed_until__gte=UNTIL_OPENED)
            left += [(row.key, f"It is closed already: {row.reason}") for row in closed]
            rows = rows.exclude(closed_until__gte=UNTIL_OPENED)
        return self.confirm(request, rows, replace(question, left=left))

    def heading(self, row: models.Gate) -> str:
        """By its key."""
        return row.key

    @admin.action(description="Close until somebody opens it", permissions=["switch"])
    def close(self, request: HttpRequest, queryset: QuerySet[models.Gate]) -> HttpResponse | None:
        """Hold back what is behind the gates."""

        def act(rows: QuerySet[models.Gate]) -> str:
            by = request.user.get_username()
            for key in rows.values_list("key", flat=True):
                services.close_gate(key=key, reason="closed by staff", by=by)
            return "Closed. Nothing is lost; it waits."

        return self.ask(
            request,
            queryset,
            Question(
                title="Close {count} gates?",
                effect="Nothing behind them goes out until somebody opens them; it waits.",
                button="Close {count}",
                heads=("Gate",),
                act=act,
                row=lambda row: (row.key,),
                undo="open_again",
                danger=True,
            ),
        )

    @admin.action(description="Open", permissions=["switch"])
    def open_again(
        self, request: HttpRequest, queryset: QuerySet[models.Gate]
    ) -> HttpResponse | None:
        """Let deliveries through again."""

        def act(rows: QuerySet[models.Gate]) -> str:
            for key in rows.values_list("key", flat=True):
                services.open_gate(key=key, by=request.user.get_username())
            return "Open."

        return self.ask(
            request,
            queryset,
            Question(
                title="Open {count} gates?",
                effect="What waits behind them goes out at once, at the usual pace.",
                button="Open {count}",
                heads=("Gate", "Closed because"),
                row=lambda row: (row.key, row.reason or "–"),
                act=act,
            ),
        )


@admin.register(models.Installation)
class InstallationAdmin(Console):
    """Which database this is."""

    list_display = ("environment", "bot_id", "armed_at")
    ordering = ("pk",)
