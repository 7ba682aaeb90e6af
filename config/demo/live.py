"""The class that has just been settled: by the real processes, under the real clock."""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from django.conf import settings

import delivery.selectors
import nurture.services
from attendance.models import ClassSession, SyncRun
from config import processes
from config.demo import school
from delivery import clock
from delivery.models import Delivery

START_SECONDS = 60.0
WORK_SECONDS = 120.0


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why, what was kept, and what to do."""


def free_port(wanted: int) -> int:
    """`wanted`, or the next port that nobody listens on."""
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError(f"no free port from {wanted} on; set PORT to another one")


def start(*, port: int, sandbox_url: str, local_dir: Path) -> None:
    """Start web, worker, clock and bot, with the sandbox as their Google."""
    environment = {
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "GOOGLE_API_URL": sandbox_url,
        "GOOGLE_SERVICE_ACCOUNT_JSON": str(school.key_file(url=sandbox_url, local_dir=local_dir)),
        "GOOGLE_DELEGATED_USER": school.DELEGATED_USER,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    gunicorn = [str(Path(sys.executable).parent / "gunicorn"), "config.wsgi", "--threads", "8"]
    gunicorn += ["--config", "python:config.serving"]
    commands = {
        "web": [*gunicorn, "--bind", f"127.0.0.1:{port}", "--chdir", str(settings.BASE_DIR)],
        "worker": processes.manage("rundramatiq", "--processes", "1", "--threads", "8"),
        "clock": processes.manage("runclock"),
        "bot": processes.manage("runbot"),
    }
    for name, command in commands.items():
        processes.start(name, command, local_dir=local_dir, environment=environment)


def await_web(*, port: int, local_dir: Path) -> None:
    """Wait until the web process says that it is ready."""

    def ready() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    _wait(ready, seconds=START_SECONDS, what="web", local_dir=local_dir)


def await_work(*, since: datetime, newest: datetime, local_dir: Path) -> None:
    """Wait until clock and worker have synced, settled the newest class and sent what is due."""

    def done() -> bool:
        synced = SyncRun.objects.filter(
            source="meet", state="complete", started_at__gte=since
        ).exists()
        settled = not ClassSession.objects.filter(
            ends_at__lte=newest, status__in=["scheduled", "ended", "settling"]
        ).exists()
        idle = not nurture.services.has_work(now=clock.now())
        in_flight = Delivery.objects.filter(status__in=["leased", "sending"]).exists()
        return synced and settled and idle and not in_flight and not delivery.selectors.has_due()

    _wait(done, seconds=WORK_SECONDS, what="worker", local_dir=local_dir)


def _wait(condition: Callable[[], bool], *, seconds: float, what: str, local_dir: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            log = processes.log_of(what, local_dir=local_dir)
            tail = log.read_text(errors="replace")[-1500:] if log.exists() else ""
            raise DemoError(f"{what} did not get there within {seconds:.0f} s; see {log}\n{tail}")
        time.sleep(0.2)
