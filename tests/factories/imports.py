"""Files to be imported, the commands that do it, and what they say."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attendance.models import (
    AttendanceEvent,
    AttendancePolicy,
    ClassSession,
    Course,
    Enrolment,
    Learner,
    Outcome,
    Pledge,
)
from tests.factories.classes import ENDS, STARTS

#: When the commands run: long after the first class.
NOW = ENDS + timedelta(days=30)
HISTORY = "email,course,starts_at,ends_at,title,session,outcome,pledge\n"
REPORT = "First name,Last name,Email,Duration,Time joined,Time exited\n"


def run(tmp_path: Path, command: str, content: str, *options: str) -> dict[str, Any]:
    """Import a file of this content; return what the command says to programs."""
    file = tmp_path / "list.csv"
    file.write_text(content, encoding="utf-8")
    out = StringIO()
    call_command(command, str(file), "--json", *options, stdout=out)
    said: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return said


def refused(tmp_path: Path, command: str, content: str, *options: str) -> list[str]:
    """Import a file that is refused; return the lines that say why."""
    with pytest.raises(CommandError, match=r"^Nothing was imported\.") as caught:
        run(tmp_path, command, content, *options)
    return str(caught.value).splitlines()[1:]


def line(learner: Learner, course: Course, *, week: int = 0, **cells: str) -> str:
    """A line of history, of the class `week` weeks after the first."""
    starts_at = STARTS + timedelta(weeks=week)
    given = {
        "email": learner.email,
        "course": course.calendar_id,
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(hours=1)).isoformat(),
        "title": "Spanish A2",
        "session": "",
        "outcome": "",
        "pledge": "",
    } | cells
    return ",".join(given.values()) + "\n"


def everything() -> list[Any]:
    """All rows that an import of history may write."""
    tables = [Course, AttendancePolicy, ClassSession, Enrolment, Outcome, Pledge, AttendanceEvent]
    return [list(table.objects.order_by("pk").values()) for table in tables]  # type: ignore[attr-defined]
