"""The list of backtests that staff asked for; what came of one is on the page of its sequence."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from config.console.pages import Console
from config.console.words import moment
from nurture.admin.insight.backtest import state_of
from nurture.models import BacktestRun


@admin.register(BacktestRun)
class BacktestRunAdmin(Console):
    """Who asked for what, and how far it is."""

    list_display = ("versions", "result_link", "state", "asked_by", "asked")
    list_select_related = ("sequence",)
    search_fields = ("sequence__slug", "sequence__name", "asked_by")
    search_help_text = "A sequence, or who asked"
    ordering = ("-pk",)
    empty_words = "Nobody has run a sequence over recorded weeks yet. It is done on its own page."
    fields = readonly_fields = (
        "versions", "result_link", "since", "until", "asked_by", "asked", "state", "error",
    )  # fmt: skip

    def heading(self, row: BacktestRun) -> str:
        """By sequence and versions."""
        return f"{row.sequence.name}, {self.versions(row)}"

    @admin.display(description="versions")
    def versions(self, row: BacktestRun) -> str:
        """One, or two beside each other."""
        beside = f" beside {row.against}" if row.against is not None else ""
        return f"version {row.version}{beside}"

    @admin.display(description="result")
    def result_link(self, row: BacktestRun) -> SafeString:
        """The page on which it is told."""
        url = reverse("admin:nurture_sequence_backtest", args=[row.sequence_id])
        return format_html(
            '<a class="tb-link" href="{}?run={}">{}</a>', url, row.pk, row.sequence.name
        )

    @admin.display(description="state")
    def state(self, row: BacktestRun) -> str:
        """How far it is."""
        return state_of(row)

    @admin.display(description="asked for", ordering="asked_at")
    def asked(self, row: BacktestRun) -> SafeString:
        """When."""
        return moment(row.asked_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[BacktestRun]:
        """Without what came of it, which may be large."""
        return super().get_queryset(request).defer("result")
