"""Background processes: started, found again by their pid files, ended whole."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from config import processes

pytestmark = pytest.mark.slow
PROGRAM = "import sys, time; print('up', flush=True); time.sleep(60)"


def await_text(path: Path, text: str) -> None:
    """Wait until a log says `text`."""
    deadline = time.monotonic() + 20
    while text not in (path.read_text() if path.exists() else ""):
        assert time.monotonic() < deadline, f"{path} never said {text!r}"
        time.sleep(0.02)


def test_what_was_started_is_ended_by_a_later_command(tmp_path: Path) -> None:
    started = processes.start(
        "sleeper", [sys.executable, "-c", PROGRAM, "manage.py"], local_dir=tmp_path
    )
    await_text(processes.log_of("sleeper", local_dir=tmp_path), "up")

    assert processes.stop(tmp_path) == ["sleeper"]

    started.wait(timeout=5)
    with pytest.raises(ProcessLookupError):
        os.kill(started.pid, 0)
    assert processes.stop(tmp_path) == []


def test_a_recycled_pid_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    folder.mkdir()
    (folder / "stranger.pid").write_text(str(os.getppid()))

    assert processes.stop(tmp_path) == []
