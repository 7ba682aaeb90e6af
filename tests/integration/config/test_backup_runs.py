"""What is noted of backups and rehearsals, also where they come to nothing (S11, S13)."""

from __future__ import annotations

import pytest
from django.db import IntegrityError

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
