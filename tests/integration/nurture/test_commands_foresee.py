"""Commands that say beforehand what they would touch, and commands that look ahead (N11, N12)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Journey, SequenceVersion
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

TWO = make.PLAIN + "  - {key: later, wait: {after: 2d}, text: Come back.}\n"


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def run(*arguments: str) -> Any:
    """The object that a command prints last."""
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue().splitlines()[-1])


def rosa() -> str:
    """A learner with a message planned; her address."""
    make.make_sequence(TWO)
    make.make_fact()
    services.tick(now=make.NOW)
    return Journey.objects.get().learner.email


def test_a_learner_is_held_and_goes_on() -> None:
    """P18: all journeys of one learner, by address."""
    email = rosa()
    row = [email, "missed-class", "hello"]

    assert run("pause", f"learner:{email}", "--dry-run") == {
        "appear": [], "vanish": [row], "move": []
    }  # fmt: skip
    assert Delivery.objects.get().status == "pending"
    assert run("pause", f"learner:{email}") == {"name": f"learner:{email}", "journeys": 1}
    assert run("resume", f"learner:{email}", "--policy", "keep", "--dry-run")["vanish"] == []
    assert run("resume", f"learner:{email}", "--policy", "shift")["journeys"] == 1
    assert run("resume", f"learner:{email}")["journeys"] == 0
    assert Journey.objects.get().status == "active"


def test_publishing_says_beforehand_whose_message_changes(tmp_path: Path) -> None:
    """N11: with the policy for journeys under way."""
    email = rosa()
    file = tmp_path / "new.yaml"
    file.write_text(TWO.replace("we missed you", "you were missed"))
    arguments = ["import_sequence", str(file), "--publish", "--in-flight"]

    assert run(*arguments, "finish", "--dry-run")["move"] == []
    found = run(*arguments, "move", "--dry-run")
    assert found["move"] == [[email, "missed-class", "hello"]]
    assert SequenceVersion.objects.count() == 1
    assert run(*arguments, "move")["version"] == 2
    assert Delivery.objects.filter(status="pending", text__contains="you were missed").exists()


def test_importing_tells_what_is_odd(tmp_path: Path) -> None:
    """N19: findings do not stop it; they are told to people and to programs."""
    file = tmp_path / "odd.yaml"
    file.write_text(make.PLAIN + "holdout: 100\n")
    out = StringIO()
    call_command("import_sequence", str(file), "--publish", stdout=out)
    assert "error all_held_out: holdout is 100" in out.getvalue()
    codes = [row["code"] for row in run("import_sequence", str(file), "--publish")["findings"]]
    assert codes == ["all_held_out", "no_dispute"]


def test_importing_counts_whom_a_message_would_not_reach(tmp_path: Path) -> None:
    """P21: by variable; who has the value, is not linked or has a default is not counted."""
    course = make.make_course()
    for name, linked in (("Rosa Maro", True), ("Ann", True), ("Ben", True), ("Cy", False)):
        contact = make.make_contact(name=name, linked=linked)
        contact.learner.enrolments.create(course=course)
    file = tmp_path / "gaps.yaml"
    file.write_text(
        make.PLAIN
        + "  - {key: b, text: 'Dear {{ last_name }}.'}\n"
        + "  - {key: c, text: \"See you {{ next_session_date | default: 'soon' }}.\"}\n"
        + "  - {key: d, wait: {before_next_session: 2h}, text: 'At {{ next_session_time }}.'}\n"
        + "  - {key: e, text: 'On {{ next_session_date }}.'}\n"
    )
    assert run("import_sequence", str(file))["missing"] == {"last_name": 2, "next_session_date": 3}
    make.make_session(course=course, starts_at=datetime(2126, 1, 1, tzinfo=UTC))
    assert run("import_sequence", str(file))["missing"] == {"last_name": 2}


def test_the_days_ahead_of_a_learner() -> None:
    """N12: what is under way, on her clock."""
    email = rosa()
    found = run("forecast", email, "--at", make.NOW.isoformat())
    assert [(row["step"], row["local"]) for row in found["messages"]] == [
        ("hello", "Tue 03 Mar 2026 21:00 UTC"),
        ("later", "Thu 05 Mar 2026 21:00 UTC"),
    ]
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause", "learner:nobody@example.org"], "there is no learner with the address"),
        (["pause", "stream:none", "--dry-run"], "no sequence has the slug"),
        (["forecast", "nobody@example.org"], "There is no learner with the address"),
        (["forecast", "nobody@example.org", "--days", "9999999"], "from 1 to 366"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: list[str], said: str) -> None:
    """And nothing changes."""
    with pytest.raises(CommandError, match=said):
        call_command(*arguments)
