"""`make demo` that was broken off, and once more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from attendance.models import Learner
from config.demo import school
from config.management.commands.demo import Command
from tests.factories.classes import make_course

pytestmark = pytest.mark.django_db


def test_a_demo_that_was_broken_off_begins_anew(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it went on with half a past and without anybody who can log in."""
    settings.LOCAL_DIR = tmp_path
    begun: list[int] = []

    def begin(_command: Command, _world: object) -> None:
        begun.append(Learner.objects.count())
        make_course("Rosa")
        connection.check_constraints()  # what waits for a commit would stop TRUNCATE
        if len(begun) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Command, "_begin", begin)
    with pytest.raises(KeyboardInterrupt):
        Command()._school()

    made = Command()._school()

    assert begun == [0, 0]
    assert Command()._school() == made == school.load(tmp_path)
    assert begun == [0, 0]
