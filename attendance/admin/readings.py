"""Readings of Google in words: when, which window, what was found, what to do about failures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.db.models import Max
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter

from attendance import models
from attendance.domain.kinds import RunKind, RunState, Source
from attendance.google_circuit import REST_SECONDS, circuit
from attendance.google_errors import Failure
from config.console.pages import Console
from config.console.words import absolute, moment, pill

SOURCES = {Source.MEET: "the Meet log", Source.CALENDAR: "a calendar"}
KINDS = {
    RunKind.ROUTINE: "every ten minutes", RunKind.HOURLY: "every hour",
    RunKind.NIGHTLY: "every night", RunKind.BACKFILL: "catching up", RunKind.MANUAL: "by hand",
}  # fmt: skip
STATES = {
    RunState.COMPLETE: ("good", "complete"), RunState.RUNNING: ("info", "under way"),
    RunState.PARTIAL: ("warn", "broken off"), RunState.FAILED: ("bad", "failed"),
    RunState.CONFIG_ERROR: ("bad", "refused"),
}  # fmt: skip
#: What to do; empty: nothing, it mends itself.
TO_DO: Mapping[str, str] = {
    Failure.TRANSIENT: "Nothing to do: the next reading takes the window again.",
    Failure.CONFIG: "Somebody must change a right or a key: run `manage.py doctor`, it says which.",
    Failure.INVALID: "It was tried once more from its start. If it fails again, read by hand: "
    "`manage.py sync_attendance --since … --until …`.",
    Failure.NOT_FOUND: "Share the calendar with our account, or correct its id in the course.",
    Failure.CIRCUIT_OPEN: f"Google failed five times in a row and is left in peace for "
    f"{REST_SECONDS} s; then it is tried again by itself.",
}
BROKEN = "Nothing to do: what was not read is read by the next reading."
APIS = (("reports", "The Meet log"), ("calendar", "The calendars"))


def run_words(run: models.SyncRun) -> tuple[SafeString, str, str, str]:
    """State, window, findings, and what to do, each in words."""
    tone, word = STATES[RunState(run.state)]
    start, end = timezone.localtime(run.window_start_at), timezone.localtime(run.window_end_at)
    hours = (run.window_end_at - run.window_start_at).total_seconds() / 3600
    span = f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
    window = f"{span}: {start:%a %d %b, %H:%M} to {end:%a %d %b, %H:%M}"
    found = f"{run.new_rows} new, {run.duplicate_rows} known"
    if run.ignored_rows:
        found += f", {run.ignored_rows} of other kinds"
    ended_well = run.state in {RunState.COMPLETE, RunState.RUNNING}
    return pill(tone, word), window, found, "" if ended_well else TO_DO.get(run.failure, BROKEN)


def lag_words(run: models.SyncRun) -> str:
    """How late Google was of late."""
    if run.lag_p50_seconds is None or run.lag_p99_seconds is None:
        return "–"
    return (
        f"half within {_minutes(run.lag_p50_seconds)}, 99 % within {_minutes(run.lag_p99_seconds)}"
    )


def _minutes(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds / 60:.0f} min"


@admin.register(models.SyncRun)
class SyncRunAdmin(Console):
    """Readings of Google."""

    list_display = ("started", "what", "state_words", "window", "found", "lag")
    list_filter = (
        ("source", ChoicesDropdownFilter), ("state", ChoicesDropdownFilter),
        ("started_at", RangeDateFilter),
    )  # fmt: skip
    ordering = ("-pk",)
    change_list_template = "admin/attendance/syncrun/change_list.html"
    empty_words = (
        "Google was never read. Put its key and calendars into the environment, see what "
        "`manage.py doctor` says, then run `manage.py sync_attendance`."
    )
    fieldsets = (
        (None, {"fields": ("what", "state_words", "window", "found", "lag")}),
        (
            "As it came",
            {
                "fields": (
                    "error", "pages", "newest", "clock_skew_seconds", "started", "finished",
                ),
            },
        ),
    )  # fmt: skip
    readonly_fields = (
        "what", "state_words", "window", "found", "lag", "newest", "started", "finished",
    )  # fmt: skip

    def heading(self, row: models.SyncRun) -> str:
        """By source and time."""
        what = self.what(row)
        return f"{what[0].upper()}{what[1:]}, {absolute(row.started_at)}"

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """How far the log is read, and whether Google is left in peace now."""
        complete = models.SyncRun.objects.filter(source=Source.MEET, state=RunState.COMPLETE)
        context = {
            "read_until": complete.aggregate(at=Max("window_end_at"))["at"],
            "circuits": [(words, circuit(api).is_open) for api, words in APIS],
            "rest": REST_SECONDS,
            **(extra_context or {}),
        }
        found: TemplateResponse = super().changelist_view(request, context)
        return found

    @admin.display(description="started", ordering="started_at")
    def started(self, row: models.SyncRun) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.started_at)

    @admin.display(description="finished")
    def finished(self, row: models.SyncRun) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.finished_at)

    @admin.display(description="newest record")
    def newest(self, row: models.SyncRun) -> SafeString:
        """When the newest record found had happened."""
        return moment(row.newest_event_at)

    @admin.display(description="what was read", ordering="source")
    def what(self, row: models.SyncRun) -> str:
        """Source and why."""
        return f"{SOURCES[Source(row.source)]}, {KINDS[RunKind(row.kind)]}"

    @admin.display(description="state", ordering="state")
    def state_words(self, row: models.SyncRun) -> SafeString:
        """As a word, and what to do where it failed."""
        state, _, _, to_do = run_words(row)
        return format_html("{}<br>{}", state, to_do) if to_do else state

    @admin.display(description="window", ordering="window_end_at")
    def window(self, row: models.SyncRun) -> str:
        """What span of time was asked for."""
        return run_words(row)[1]

    @admin.display(description="found")
    def found(self, row: models.SyncRun) -> str:
        """How much of it was new."""
        return run_words(row)[2]

    @admin.display(description="Google's lag")
    def lag(self, row: models.SyncRun) -> str:
        """How late its records were in the two weeks before."""
        return lag_words(row)
