"""telbot's own processes on a laptop: start them in the background, end them again.

One pid file and one log per name under LOCAL_DIR/processes, so that any later command (and
`make stop`) finds what an earlier one started, also after the starter was killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

GRACE_SECONDS = 25  # a worker finishes what is in flight; see docs/architecture.md


class ProcessError(RuntimeError):
    """A process of ours did not start; the message names its log."""


def _folder(local_dir: Path) -> Path:
    return local_dir / "processes"


def start(
    name: str,
    command: Sequence[str],
    *,
    local_dir: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Run `command` in a session of its own; output goes to LOCAL_DIR/processes/NAME.log."""
    folder = _folder(local_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {}), "LOCAL_DIR": str(local_dir)},
        )
    (folder / f"{name}.pid").write_text(str(process.pid))
    return process


def manage(*arguments: str) -> list[str]:
    """The command line that runs a management command with this Python."""
    return [sys.executable, str(Path(__file__).resolve().parent.parent / "manage.py"), *arguments]


def log_of(name: str, *, local_dir: Path) -> Path:
    """Where the output of `name` is."""
    return _folder(local_dir) / f"{name}.log"


def stop(local_dir: Path) -> list[str]:
    """End every process that was started under `local_dir`; return their names.

    SIGTERM first, all at once; SIGKILL to the whole session after GRACE_SECONDS. A pid that was
    recycled by a stranger is left alone.
    """
    groups: dict[str, int] = {}
    for path in sorted(_folder(local_dir).glob("*.pid")):
        pid = _read(path)
        if pid and _is_ours(pid):
            groups[path.stem] = pid
        path.unlink(missing_ok=True)
    for pid in groups.values():
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(_is_ours(pid) for pid in groups.values()):
        if time.monotonic() > deadline:
            for pid in groups.values():
                _signal(pid, signal.SIGKILL)
            break
        time.sleep(0.05)
    return list(groups)


def _read(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def _signal(pid: int, by: signal.Signals) -> None:
    # The group, since dramatiq and gunicorn have children; each of ours leads its own session.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, by)


def _is_ours(pid: int) -> bool:
    """Whether `pid` lives and is a program of this project (Python with our manage.py)."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child: reap it, a zombie is dead
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return False
    return any(
        word.endswith("manage.py") or word in {"config.wsgi", "django_dramatiq.setup"}
        for word in words
    )
