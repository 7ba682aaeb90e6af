"""Commands with --json: the last line is one object, also where they fail (S06)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from django.core.management import CommandError

from config import command_line
from tests.e2e.commands import environment, run


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
