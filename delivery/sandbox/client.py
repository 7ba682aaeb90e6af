"""Where the sandbox runs, and how it is started: a daemon of its own, shared by all processes.

Whoever needs it first starts it; it outlives that process; `stop` ends it. All processes with
the same LOCAL_DIR find the same one through LOCAL_DIR/sandbox.json.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from delivery.sandbox.state import NAME, World

if TYPE_CHECKING:  # a web framework, which only `serve` needs
    from delivery.sandbox.app import Handler

HOST = "127.0.0.1"
TOKEN = "1:sandbox"
START_SECONDS = 30.0


class SandboxError(RuntimeError):
    """The sandbox does not run and could not be started; the message names its log."""


def ensure() -> str:
    """Return the sandbox's address (no slash at the end); start it where it does not answer.

    Safe to call from many processes at once: a file lock lets one of them start it.
    """
    found = address()
    if found:
        return found
    settings.LOCAL_DIR.mkdir(parents=True, exist_ok=True)
    with _locked():
        found = address()
        if not found:
            _start()
            found = _await_address()
    return found


def address() -> str:
    """The address of the running sandbox of this LOCAL_DIR, or "" where none answers."""
    state = _read_state()
    try:
        health = request(state["url"], "GET", "/sandbox/health", seconds=2)
    except (KeyError, OSError, ValueError, http.client.HTTPException):
        return ""
    return str(state["url"]) if health.get("name") == NAME and health["pid"] == state["pid"] else ""


def stop() -> None:
    """End the sandbox of this LOCAL_DIR; nothing happens where none runs."""
    if not settings.LOCAL_DIR.is_dir():
        return
    with _locked():
        if address():
            pid = int(_read_state()["pid"])
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + START_SECONDS
            while _lives(pid) and time.monotonic() < deadline:
                time.sleep(0.01)
        _state_file().unlink(missing_ok=True)


def serve(
    *,
    port: int,
    open_to_all: bool,
    mounts: Mapping[str, Handler] | None = None,
    ready: Any = None,
) -> None:
    """Run the sandbox in this process until it is told to end, and let others find it.

    `open_to_all`: an unknown chat id becomes a person who has started the bot, so that imported
    ids just work. `mounts`: path prefixes answered by other handlers (see `app.build_app`).
    `ready` is called with the address. Raises SandboxError where one runs already.
    """
    folder = settings.LOCAL_DIR / "sandbox"
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        _serve(folder, port, open_to_all, mounts, ready)


def _serve(
    folder: Path,
    port: int,
    open_to_all: bool,
    mounts: Mapping[str, Handler] | None,
    ready: Any,
) -> None:
    from delivery.sandbox import app as sandbox_app

    world = World(journal=folder / "journal.jsonl", token=TOKEN)
    if world.open != open_to_all:
        world.record("flags", open=open_to_all)

    def listening(bound: int) -> None:
        url = f"http://{HOST}:{bound}"
        _write_state({"url": url, "pid": os.getpid()})
        if ready is not None:
            ready(url)

    app = sandbox_app.build_app(world, mounts=mounts)
    sandbox_app.run(app, host=HOST, port=port, ready=listening)


def request(
    url: str, method: str, path: str, body: Mapping[str, Any] | None = None, *, seconds: float = 30
) -> dict[str, Any]:
    """Speak to the control addresses (`/sandbox/…`) and return the JSON; no proxies involved.

    Raises SandboxError where the sandbox refuses; its message says why.
    """
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=seconds)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise SandboxError(f"the sandbox refused {method} {path}: {answer.get('error', answer)}")
    return answer


def _start() -> None:
    log = settings.LOCAL_DIR / "sandbox.log"
    command = [
        sys.executable, str(settings.BASE_DIR / "manage.py"), "runsandbox",
        "--port", str(settings.SANDBOX_PORT),
    ]  # fmt: skip
    # The shell leaves at once, so the sandbox is nobody's child and nobody's zombie.
    subprocess.run(
        ["/bin/sh", "-c", '"$@" >>"$0" 2>&1 </dev/null &', str(log), *command],
        cwd=settings.BASE_DIR,
        env=os.environ | {"LOCAL_DIR": str(settings.LOCAL_DIR)},
        start_new_session=True,
        check=True,
    )


def _await_address() -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := address():
            return found
        time.sleep(0.05)
    log = settings.LOCAL_DIR / "sandbox.log"
    tail = log.read_text()[-500:] if log.exists() else ""
    raise SandboxError(f"the sandbox did not start within {START_SECONDS:.0f} s; see {log}\n{tail}")


def _state_file() -> Path:
    return Path(settings.LOCAL_DIR / "sandbox.json")


def _read_state() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_state_file().read_text())
        if isinstance(found, dict):
            return found
    return {}


def _write_state(state: Mapping[str, Any]) -> None:
    fresh = _state_file().with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(_state_file())


def _lives(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected is dead."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Hold the journal for this process alone, as long as it lives."""
    with (folder / "alive").open("w") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            where = _read_state().get("url", "an address it has not told yet")
            raise SandboxError(f"the sandbox of this LOCAL_DIR runs already, at {where}") from None
        yield


@contextmanager
def _locked() -> Iterator[None]:
    # Close-on-exec, so that the daemon does not inherit the lock.
    with (settings.LOCAL_DIR / "sandbox.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
