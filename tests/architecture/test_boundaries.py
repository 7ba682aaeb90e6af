"""Each boundary is broken once on purpose, to see that the tool that holds it says so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
APPS = ("config", "attendance", "delivery", "nurture")


def run(
    command: list[str], *, cwd: Path = ROOT, code: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool of the virtual environment in `cwd`, with `code` as its standard input."""
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=cwd, input=code, capture_output=True, text=True, check=False,
    )  # fmt: skip


#: Module, what must not be imported there, the contract that says so: each contract once or more.
FORBIDDEN = [
    ("attendance.services", "nurture.models", "never back"),
    ("delivery.models", "attendance.models", "never back"),
    ("nurture.services", "config.env", "never back"),
    ("nurture.domain.journey", "django.db", "standard library only"),
    ("delivery.domain.pacing", "psycopg", "standard library only"),
    ("nurture.inbound", "telegram", "python-telegram-bot"),
    ("nurture.services", "googleapiclient", "Google's client"),
    ("delivery.services", "dramatiq", "dramatiq"),
    ("attendance.models", "attendance.services", "inside attendance"),
    ("delivery.services", "delivery.tasks", "inside delivery"),
    ("nurture.domain.journey", "nurture.models", "inside nurture"),
]
EXTERNAL = {"django", "psycopg", "telegram", "googleapiclient", "dramatiq"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What import-linter says, by contract, of a copy of the code in which all of these are done.

    One reading for all: each is looked for by its own line below the contract that it breaks.
    """
    copy = tmp_path_factory.mktemp("spoilt")
    for app in APPS:
        shutil.copytree(
            ROOT / app, copy / app, ignore=shutil.ignore_patterns("__pycache__", "static")
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, forbidden, _ in FORBIDDEN:
        path = copy / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        path.write_text(f"{path.read_text()}\nimport {forbidden}\n")
    result = run(["lint-imports", "--no-cache"], cwd=copy)
    assert result.returncode == 1, result.stdout + result.stderr
    told = result.stdout.partition("Broken contracts")[2]
    parts = re.split(r"^(.+)\n-{3,}$", told, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize(("module", "forbidden", "contract"), FORBIDDEN)
def test_a_broken_import_boundary_is_caught(
    report: dict[str, str], module: str, forbidden: str, contract: str
) -> None:
    """Import-linter, each contract once."""
    root = forbidden.partition(".")[0]
    line = f"{module} -> {root if root in EXTERNAL else forbidden} (l."

    assert any(line in said for name, said in report.items() if contract in name), report


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
def test_a_banned_call_is_caught(line: str, code: str) -> None:
    """Ruff: signals, stray clock reads, relative imports, prints."""
    module = "nurture/services/__init__.py"
    spoilt = f"{(ROOT / module).read_text()}\n{line}\n"

    result = run(["ruff", "check", "--no-cache", "--stdin-filename", module, "-"], code=spoilt)

    assert result.returncode == 1
    assert code in result.stdout


def test_the_code_as_it_is_breaks_nothing() -> None:
    """So that the tests above cannot pass for another reason."""
    assert run(["lint-imports", "--no-cache"]).returncode == 0
