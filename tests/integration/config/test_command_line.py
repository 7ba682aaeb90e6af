"""Commands with --json: the last line is one object, also where they fail (S06)."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence

import psycopg
import pytest
from django.core.management import CommandError

from config import command_line
from tests.e2e.commands import ROOT, database_url, environment, run


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "setting", "said"),
    [
        pytest.param(
            ("export_outcomes", "--since", "noon"), {}, "'noon' is no ISO date", id="refused"
        ),
        pytest.param(
            ("doctor",), {"FIELD_ENCRYPTION_KEY": "zz"}, "FIELD_ENCRYPTION_KEY", id="no boot"
        ),
        pytest.param(("import_learners",), {}, "standard error says why", id="wrong arguments"),
    ],
)
def test_a_failure_is_one_object(
    arguments: Sequence[str], setting: dict[str, str], said: str
) -> None:
    found = run(*arguments, env=environment(**setting), fails=True)

    assert found["ok"] is False
    assert said in found["error"]


def test_a_failure_keeps_what_was_reported_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def half_done(argv: Sequence[str]) -> None:
        print(json.dumps({"sent": 3, "ok": True}))  # noqa: T201 - a command's report
        raise CommandError("Sending is stopped (bot).", returncode=2)

    monkeypatch.setattr(command_line, "_execute", half_done)

    with pytest.raises(SystemExit) as left:
        command_line.run(["manage.py", "send_due", "--json"])

    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert json.loads(out.splitlines()[-1]) == {
        "sent": 3, "ok": False, "error": "Sending is stopped (bot).",
    }  # fmt: skip
    assert err == "CommandError: Sending is stopped (bot).\n"


def _told(*arguments: str, **setting: str) -> str:
    """What a person reads where a command cannot do its work."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=environment(**setting), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.django_db
def test_what_stops_every_command_is_told_in_words() -> None:
    """A wrong setting, a database that is away, and one that was never migrated."""
    assert "PORT: expected a port number" in _told("tick", PORT="99999")
    away = "postgresql://nobody@127.0.0.1:1/none"
    assert "The database does not answer" in _told("backup", "/dev/null", DATABASE_URL=away)

    url, mark, query = database_url().partition("?")
    empty = f"{url}_empty{mark}{query}"
    name = f"{url.rpartition('/')[2]}_empty"
    with psycopg.connect(database_url(), autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        try:
            for command in ("tick", "doctor"):
                assert "run manage.py migrate" in _told(command, DATABASE_URL=empty)
        finally:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
