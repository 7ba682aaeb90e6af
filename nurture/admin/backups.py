"""When data was last made safe, and when somebody last saw that it can be brought back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.pages import Console
from config.console.words import moment, pill
from delivery.clock import now
from nurture import models
from nurture.domain.scorecard import BACKUP_AGE, REHEARSAL_AGE
from nurture.services.backup_runs import last_good

#: What has to be there: its kind, how old it may be, and that in words.
WANTED = (
    (models.BackupRun.BACKUP, BACKUP_AGE, "26 hours"),
    (models.BackupRun.REHEARSAL, REHEARSAL_AGE, "35 days"),
)


@admin.register(models.BackupRun)
class BackupRunAdmin(Console):
    """Each backup into the storage and each rehearsal of a restore."""

    list_display = ("kind", "result", "began", "took", "counted", "megabytes")
    list_filter = (("kind", ChoicesDropdownFilter),)
    sortable_by = ()
    ordering = ("-started_at", "-pk")
    list_before_template = "admin/nurture/backups.html"
    told = (
        "A backup is all rows of one moment, put into the storage each night by the job “backup”."
        " A rehearsal restores one into a database of its own and counts again: it shows that a"
        " backup is one. How both are done by hand is in docs/operations/data.md."
    )
    empty_words = "None yet: name a storage by BACKUP_S3_URL, or run manage.py rehearse_restore."
    fields = readonly_fields = (
        "kind", "result", "began", "ended", "took", "file", "counted", "megabytes",
    )  # fmt: skip

    def heading(self, row: models.BackupRun) -> str:
        """By what it was and of which file."""
        return f"{row.kind} {row.file}".strip()

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The newest good ones stand above all."""
        context = {"newest": list(_newest(now())), **(extra_context or {})}
        page: TemplateResponse = super().changelist_view(request, context)
        return page

    @admin.display(description="result")
    def result(self, row: models.BackupRun) -> SafeString:
        """Whether it came to a good end."""
        if row.finished_at is None:
            return pill("info", "running")
        return pill("bad", "failed", row.error) if row.error else pill("good", "done")

    @admin.display(description="began")
    def began(self, row: models.BackupRun) -> SafeString:
        """When it began."""
        return moment(row.started_at)

    @admin.display(description="ended")
    def ended(self, row: models.BackupRun) -> SafeString:
        """When it came to its end."""
        return moment(row.finished_at)

    @admin.display(description="took")
    def took(self, row: models.BackupRun) -> str:
        """How long."""
        if row.finished_at is None:
            return "–"
        return f"{(row.finished_at - row.started_at) / timedelta(seconds=1):,.0f} s"

    @admin.display(description="rows")
    def counted(self, row: models.BackupRun) -> str:
        """Of all tables."""
        return f"{row.rows:,}" if row.rows else "–"

    @admin.display(description="size, MB")
    def megabytes(self, row: models.BackupRun) -> str:
        """Of the file."""
        return f"{row.size / 2**20:,.1f}" if row.size else "–"


def _newest(present: datetime) -> Iterator[tuple[str, str, str, datetime | None]]:
    """Of each kind: tone, state, words and time of the newest good one."""
    for kind, most, words in WANTED:
        row, has_to = last_good(kind=kind), f"It has to be younger than {words}."
        if row is None:
            yield "calm", "not yet", f"No {kind} came to a good end so far. {has_to}", None
        elif present - row.started_at < most:
            yield "good", "good", f"The newest good {kind}:", row.started_at
        else:
            yield "bad", "too old", f"The newest good {kind}. {has_to}", row.started_at
