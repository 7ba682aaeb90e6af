"""Sender processes that start in milliseconds: one warm process forks, each fork drains and dies.

`python -m tests.faults.forks` reads one JSON object a line: what to start, or whom to wait for.
A fork may kill itself at the n-th line that it executes of delivery/ (F1).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from tests.e2e.commands import ROOT, environment, telegram_at

DELIVERY = str(ROOT / "delivery") + os.sep


@dataclass
class Forks:
    """The warm process, as a test sees it."""

    process: subprocess.Popen[str]
    alive: set[int] = field(default_factory=set)

    def start(self, **options: Any) -> int:
        """Begin a drain in a process of its own; return its pid."""
        pid = int(self._ask({"start": options}))
        self.alive.add(pid)
        return pid

    def wait(self, pid: int) -> int:
        """Wait for its end; return its exit code, or minus the signal that killed it."""
        self.alive.discard(pid)
        return int(self._ask({"wait": pid}))

    def kill(self, pid: int) -> None:
        """`kill -9`, and wait."""
        os.kill(pid, signal.SIGKILL)
        self.wait(pid)

    def drain(self, **options: Any) -> int:
        """Start one and wait for its end."""
        return self.wait(self.start(**options))

    def _ask(self, said: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(said) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@contextmanager
def forks(url: str, **more: str) -> Iterator[Forks]:
    """A warm process whose forks send to the receiver at `url`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forks"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(**telegram_at(url, **more)),
    )
    try:
        yield Forks(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


# --- in the warm process --------------------------------------------------------------------------


def serve() -> None:
    """Fork and wait as told, until nobody tells any more."""
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()
    from delivery import sender, telegram  # noqa: F401 - warm before the first fork

    for line in sys.stdin:
        said = json.loads(line)
        if "wait" in said:
            answer = os.waitstatus_to_exitcode(os.waitpid(said["wait"], 0)[1])
        else:
            answer = os.fork() or _child(said["start"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _child(options: dict[str, Any]) -> int:
    try:
        _drain(**options)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        os._exit(1)
    os._exit(0)


def _drain(
    *,
    kill_at: int = 0,
    lease: float = 60.0,
    lines: str = "",
    naive: bool = False,
    patience: float = 0.0,
    call_seconds: float = 0.0,
    probe_seconds: float = 0.0,
    keep: bool = False,
    host_clock: float = 0.0,
    poison: tuple[str, int] | None = None,
) -> None:
    """`naive`: what a dead worker had on the wire is taken for what it only held.

    In place of the usual seconds: `patience` for an answer of the database, `call_seconds` for one
    of Telegram, `probe_seconds` from one probe to the next. `keep`: drain until SIGTERM.
    `host_clock`: so many seconds is this host ahead of the world. `poison`: it dies in this method
    with that delivery.
    """
    from django.conf import settings

    from delivery import calls, consequences, ledger, postgres, queries, sender
    from delivery.telegram import TelegramGateway, gateway

    def hasty() -> TelegramGateway:
        return TelegramGateway(
            token=settings.BOT_TOKEN,
            api_url=settings.TELEGRAM_API_URL,
            connect_seconds=call_seconds,
            answer_seconds=call_seconds,
        )

    real = time.time
    time.time = lambda: real() + host_clock
    settings.DELIVERY_LEASE_SECONDS = lease
    postgres.ANSWER_SECONDS = patience or postgres.ANSWER_SECONDS
    if probe_seconds:
        consequences.BREAKER_WAIT = timedelta(seconds=probe_seconds)
        sender.TIDY_EVERY = probe_seconds / 2
    if poison:
        _poison(calls.Calls if poison[0] == "_send" else ledger.Ledger, *poison)
    door = hasty if call_seconds else gateway
    if naive:
        queries.RESCUE_SENDING = queries.RESCUE_LEASED.replace("'leased' AND", "'sending' AND")
        queries.RESCUE_SENDING = queries.RESCUE_SENDING.replace("%(most)s", "99")
    counter = _Counter(kill_at)
    if kill_at or lines:
        sys.settrace(counter.enter)
    if keep:
        _keep(lambda stopping: sender.drain(door, stopping=stopping))
    else:
        sender.drain(door, until_empty=True, catch_signals=True)
    sys.settrace(None)
    if lines:
        Path(lines).write_text(str(counter.count))


def _keep(drain: Callable[[threading.Event], object]) -> None:
    """As a worker does: rung again and again, until SIGTERM or the end of the test."""
    stopping, parent = threading.Event(), os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    while not stopping.wait(0.05) and os.getppid() == parent:
        drain(stopping)


def _poison(owner: Any, method: str, delivery: int) -> None:
    """`kill -9` on itself where it is to handle that delivery."""
    handle = getattr(owner, method)

    async def deadly(self: Any, *one: Any, **many: Any) -> Any:
        if delivery in [held.id for held in (*one, *many.get("intents", ()))]:
            os.kill(os.getpid(), signal.SIGKILL)
        return await handle(self, *one, **many)

    setattr(owner, method, deadly)


class _Counter:
    """Counts executed lines of delivery/, and dies at the one it was told."""

    def __init__(self, kill_at: int) -> None:
        self.kill_at, self.count = kill_at, 0

    def enter(self, frame: FrameType, _event: str, _arg: Any) -> Any:
        return self.line if frame.f_code.co_filename.startswith(DELIVERY) else None

    def line(self, _frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line":
            self.count += 1
            if self.count == self.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line


if __name__ == "__main__":
    serve()
