"""When data was last made safe, and when somebody last saw that it can be brought back."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.pages import Console
from config.console.words import moment, pill
from nurture import models


@admin.register(models.BackupRun)
class BackupRunAdmin(Console):
    """Each backup into the storage and each rehearsal of a restore."""

    list_display = ("kind", "result", "began", "rows", "megabytes")
    list_filter = (("kind", ChoicesDropdownFilter),)
    sortable_by = ()
    ordering = ("-pk",)
    empty_words = "None yet: name a storage by BACKUP_S3_URL, or run manage.py rehearse_restore."
    fields = readonly_fields = (
        "kind", "result", "began", "ended", "file", "rows", "megabytes", "error",
    )  # fmt: skip

    @admin.display(description="result")
    def result(self, row: models.BackupRun) -> SafeString:
        """Whether it came to a good end."""
        if row.finished_at is None:
            return pill("info", "running")
        return pill("bad", "failed") if row.error else pill("good", "done")

    @admin.display(description="began")
    def began(self, row: models.BackupRun) -> SafeString:
        """When it began."""
        return moment(row.started_at)

    @admin.display(description="ended")
    def ended(self, row: models.BackupRun) -> SafeString:
        """When it came to its end."""
        return moment(row.finished_at)

    @admin.display(description="size, MB")
    def megabytes(self, row: models.BackupRun) -> str:
        """Of the file."""
        return f"{row.size / 2**20:,.1f}"
