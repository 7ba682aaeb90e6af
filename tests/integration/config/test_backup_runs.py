"""What is noted of backups and rehearsals, also where they come to nothing (S11, S13)."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError

from config.backups import scheduled
from delivery import clock
from nurture.models import BackupRun
from nurture.services import backup_runs


@pytest.mark.django_db
def test_a_backup_that_is_broken_off_is_no_good_one_and_no_error_quotes_a_row() -> None:
    """A deploy stops the worker in the midst of it; a rehearsal meets rows that do not migrate."""
    quotes = IntegrityError("duplicate key\nDETAIL:  Key (email)=(rosa@example.org) is there")
    for error in (KeyboardInterrupt(), quotes):
        with pytest.raises(type(error)):
            with backup_runs.noted(kind=BackupRun.BACKUP, now=clock.now()):
                raise error

    assert backup_runs.last_good(kind=BackupRun.BACKUP) is None
    errors = BackupRun.objects.order_by("pk").values_list("error", flat=True)
    assert list(errors) == ["KeyboardInterrupt", "IntegrityError: duplicate key"]


@pytest.mark.django_db
def test_a_rehearsal_whose_rows_do_not_migrate_says_so_and_quotes_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is what a rehearsal is there to find; its words stand in the log of whoever hosts."""

    def migrate(**options: object) -> None:
        raise IntegrityError("duplicate key\nDETAIL:  Key (email)=(rosa@example.org) is there")

    monkeypatch.setattr(scheduled, "rehearse", migrate)
    with pytest.raises(CommandError) as said:
        call_command("rehearse_restore")
    assert str(said.value) == "The rehearsal failed. IntegrityError: duplicate key"
