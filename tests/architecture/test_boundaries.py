"""Each boundary is broken once on purpose, to see that the tool that holds it says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
APPS = ("config", "attendance", "delivery", "nurture", "console")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code that a test may spoil."""
    for app in APPS:
        shutil.copytree(
            ROOT / app, tmp_path / app, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def run(command: list[str], *, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a tool of the virtual environment in `cwd`."""
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=cwd, capture_output=True, text=True, check=False
    )


def spoil(copy: Path, module: str, line: str) -> None:
    """Append `line` to `module`, which is made where it does not exist."""
    path = copy / module
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("attendance/services/__init__.py", "import nurture.models", "never back"),
        ("delivery/models/__init__.py", "import attendance.models", "never back"),
        ("nurture/services/__init__.py", "import config.env", "never back"),
        ("nurture/domain/journey.py", "import django.db", "standard library only"),
        ("delivery/domain/pacing.py", "import psycopg", "standard library only"),
        ("nurture/inbound.py", "import telegram", "python-telegram-bot"),
        ("nurture/services/__init__.py", "import googleapiclient", "Google's client"),
        ("delivery/services/__init__.py", "import dramatiq", "dramatiq"),
        ("attendance/models/__init__.py", "import attendance.services", "inside attendance"),
        ("delivery/services/__init__.py", "import delivery.tasks", "inside delivery"),
        ("nurture/domain/journey.py", "import nurture.models", "inside nurture"),
    ],
)
def test_a_broken_import_boundary_is_caught(
    copy: Path, module: str, line: str, contract: str
) -> None:
    """Import-linter, each contract once."""
    spoil(copy, module, line)

    result = run(["lint-imports", "--no-cache"], cwd=copy)

    broken = [said for said in result.stdout.splitlines() if " BROKEN" in said]
    assert result.returncode == 1, result.stdout + result.stderr
    assert any(contract in said for said in broken), result.stdout


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("from django.db.models import signals", "TID251"),
        ("from django.dispatch import receiver", "TID251"),
        ("from django.utils import timezone\nAT = timezone.now()", "TID251"),
        ("from datetime import UTC, datetime\nAT = datetime.now(UTC)", "TID251"),
        ("import time\nAT = time.time()", "TID251"),
        ("from . import models", "TID252"),
        ("print('hello')", "T201"),
    ],
)
def test_a_banned_call_is_caught(copy: Path, line: str, code: str) -> None:
    """Ruff: signals, stray clock reads, relative imports, prints."""
    spoil(copy, "nurture/services/__init__.py", line)

    result = run(["ruff", "check", "--no-cache", "nurture/services/__init__.py"], cwd=copy)

    assert result.returncode == 1
    assert code in result.stdout


def test_the_code_as_it_is_breaks_nothing(copy: Path) -> None:
    """So that the tests above cannot pass for another reason."""
    assert run(["lint-imports", "--no-cache"], cwd=copy).returncode == 0
