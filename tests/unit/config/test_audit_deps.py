"""The audit of dependencies says passed only where it knows (S12)."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parent.parent.parent.parent / ".ci" / "audit_deps.py"
SPEC = importlib.util.spec_from_file_location("audit_deps", PATH)
assert SPEC is not None
assert SPEC.loader is not None
audit_deps = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit_deps)

SOUND = {"name": "django", "version": "5.2.19", "vulns": []}
UNKNOWN = {"name": "redis", "skip_reason": "not found"}
BROKEN = SOUND | {"vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["5.2.20"]}]}


@pytest.mark.parametrize(
    ("packages", "said", "code"),
    [
        ([SOUND], "passed: no known vulnerability in 1 packages", 0),
        ([SOUND, UNKNOWN], "skipped: 1 of 2 packages", 0),
        ([], "skipped: 0 of 0 packages", 0),
        ([UNKNOWN, BROKEN], "FAILED: 1 known vulnerabilities", 1),
    ],
)
def test_the_verdict_follows_what_could_be_looked_up(
    packages: list[dict[str, Any]], said: str, code: int
) -> None:
    sentence, left = audit_deps.verdict(json.dumps({"dependencies": packages}), "")

    assert sentence.startswith(said)
    assert left == code


def test_no_answer_is_no_verdict() -> None:
    sentence, code = audit_deps.verdict("", "ERROR: no route to host")

    assert sentence == "skipped: the advisories could not be read (ERROR: no route to host)"
    assert code == 0
