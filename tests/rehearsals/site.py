"""A whole telbot for a rehearsal: its processes, and everybody outside who is on loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from aiohttp import web
from django.conf import settings
from django.db import OperationalError, connection

from attendance.sandbox import FakeGoogle, serve, service_account_key
from config import embedded
from config.demo.live import free_port
from delivery import clock, services
from tests.bench.report import expect
from tests.e2e.commands import ROOT, database_url, environment, run, telegram_at
from tests.integration.config.bucket import Bucket, bucket
from tests.integration.delivery.receiver import Receiver, receiving

SECRET = "a-Secret_of-the-webhook_1"
PATIENCE = 90.0  # seconds until what has to come about must have, on a busy machine
CHATS = 40  # each is written to every few seconds
PROGRAMS = {
    "worker": ["manage.py", "rundramatiq", "--processes", "1", "--threads", "8",
               "--worker-shutdown-timeout", "20000"],
    "clock": ["manage.py", "runclock"],
    "web": ["-m", "gunicorn", "config.wsgi", "--threads", "4"],
}  # fmt: skip


def await_that(condition: Callable[[], bool], what: str) -> None:
    """Wait for it; the message of the error says what did not come about."""
    embedded._await(condition, seconds=PATIENCE, what=what)


@dataclass
class Telegram(Receiver):
    """The receiver that counts, for one token, with a webhook that can be set."""

    token: str = ""
    hook: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        """One Bot API call; a token that was revoked is told so."""
        if request.match_info["token"] != self.token:
            self.refused += 1
            said = {"ok": False, "error_code": 401, "description": "Unauthorized"}
            return web.json_response(said, status=401)
        method = request.match_info["method"].lower()
        if method == "setwebhook":
            self.hook = str((await request.post())["url"])
            return web.json_response({"ok": True, "result": True})
        if method == "getwebhookinfo":
            info = {"url": self.hook, "has_custom_certificate": False, "pending_update_count": 0}
            return web.json_response({"ok": True, "result": info})
        return await super().handle(request)


@dataclass
class Site:
    """What runs, and the books of those outside."""

    telegram: Telegram
    storage: Bucket
    google: FakeGoogle
    env: dict[str, str]
    logs: Path
    owed: set[str] = field(default_factory=set)  # texts that were owed by `flowing`
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _number: int = 0

    # --- commands and processes -------------------------------------------------------------

    def manage(self, *words: str, fails: bool = False) -> dict[str, Any]:
        """Run a command as the handbook has it; its last line."""
        return run(*words, env=self.env, fails=fails)

    def start(self, *names: str) -> None:
        """Start these programs, by default all, and wait until they are at work."""
        for name in names or PROGRAMS:
            with (self.logs / name).open("ab") as log:
                self._running[name] = subprocess.Popen(
                    [sys.executable, *PROGRAMS[name]], cwd=ROOT, env=self.env, stdout=log,
                    stderr=log, start_new_session=True,
                )  # fmt: skip
        if "web" in names or not names:
            await_that(lambda: self.answer("/healthz")[0] == 200, "the web process answers")

    def stop(self, *names: str) -> None:
        """Suspend these programs, by default all; each has to leave with 0."""
        leaving = {name: self._running.pop(name) for name in names or tuple(self._running)}
        for process in leaving.values():
            process.terminate()
        for name, process in leaving.items():
            expect(f"{name} left with", process.wait(timeout=60), 0)

    def kill(self) -> None:
        """Leave nothing running, whatever went wrong."""
        for process in self._running.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def said(self, name: str) -> str:
        """What a program logged."""
        return (self.logs / name).read_text(errors="replace")

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        """Status and object that the web process answers; (0, {}) where it does not."""
        try:
            with urllib.request.urlopen(f"{self.env['PUBLIC_URL']}{path}", timeout=10) as got:
                return got.status, _object(got.read())
        except urllib.error.HTTPError as refused:
            return refused.code, _object(refused.read())
        except OSError:
            return 0, {}

    # --- messages ---------------------------------------------------------------------------

    @contextmanager
    def flowing(self, *, rate: float = 10) -> Iterator[None]:
        """So many messages a second fall due for the block, as far as there is a database."""
        over = threading.Event()
        thread = threading.Thread(target=self._owe_until, args=[over, 1 / rate])
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _owe_until(self, over: threading.Event, pause: float) -> None:
        while not over.wait(pause):
            with suppress(OperationalError):
                self.owe()
            connection.close_if_unusable_or_obsolete()
        connection.close()

    def owe(self, *, due_at: datetime | None = None, telegram_id: int = 0) -> None:
        """One message more, due now or then, to a chat of the flow or this one."""
        self._number += 1
        text = f"message {self._number}"
        services.enqueue(
            chat=services.register_chat(telegram_id=telegram_id or 1000 + self._number % CHATS),
            text=text, dedupe_key=f"drill:{self._number}", due_at=due_at or clock.now(),
        )  # fmt: skip
        self.owed.add(text)

    def more_arrive(self, count: int) -> None:
        """Wait until so many more have arrived."""
        self.telegram.await_count(self.telegram.total + count, seconds=PATIENCE)

    def arrived(self) -> Counter[str]:
        """How often each text has arrived, by the receiver's own books."""
        with self.telegram.changed:
            return Counter(text for _, text in self.telegram.texts)

    def all_arrive_once(self) -> None:
        """Wait until all that is owed has arrived; none may have done so twice."""
        await_that(lambda: self.owed <= set(self.arrived()), "all that was owed arrives")
        self.none_doubled()

    def none_doubled(self) -> None:
        """Nobody heard anything twice."""
        expect("doubled", {text: n for text, n in self.arrived().items() if n > 1}, {})

    # --- verdicts ---------------------------------------------------------------------------

    def audit_holds(self) -> None:
        """Every invariant."""
        expect("audit", self.manage("audit")["violations"], [])

    def doctor(self, *words: str, fails: bool = False) -> dict[str, str]:
        """The verdict of each check."""
        items = self.manage("doctor", *words, fails=fails)["items"]
        return {item["name"]: item["verdict"] for item in items}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def on_server(*statements: str) -> None:
    """Run statements beside the database of the rehearsal, on its server."""
    name = connection.settings_dict["NAME"]
    with psycopg.connect(database_url().replace(f"/{name}?", "/postgres?"), autocommit=True) as c:
        for statement in statements:
            c.execute(statement.encode())


@contextmanager
def site(*, token: str, logs: Path, calendars: Sequence[str]) -> Iterator[Site]:
    """Everybody outside on loopback; nothing of telbot runs yet."""
    port = free_port(18_700)
    logs.mkdir(parents=True, exist_ok=True)
    for log in logs.iterdir():
        log.unlink()
    google = FakeGoogle(calendars={name: [] for name in calendars})
    with ExitStack() as stack:
        telegram = stack.enter_context(receiving(Telegram(latency=0.05, token=token)))
        assert isinstance(telegram, Telegram)
        storage = stack.enter_context(bucket())
        google_url = stack.enter_context(serve(google))
        env = environment(
            **telegram_at(
                telegram.url, BOT_TOKEN=token, TELEGRAM_SENDS_PER_SECOND="25",
                TELEGRAM_WEBHOOK_SECRET=SECRET, REDIS_URL=settings.REDIS_URL,
                PORT=str(port), PUBLIC_URL=f"http://127.0.0.1:{port}", PYTHONUNBUFFERED="1",
                BACKUP_S3_URL=storage.url(), GOOGLE_API_URL=google_url,
                GOOGLE_SERVICE_ACCOUNT_JSON=json.dumps(service_account_key(f"{google_url}/token")),
                GOOGLE_DELEGATED_USER="a@school.example", GOOGLE_CALENDAR_IDS=",".join(calendars),
                GUNICORN_CMD_ARGS=f"--bind=127.0.0.1:{port}",
            )
        )  # fmt: skip
        made = Site(telegram=telegram, storage=storage, google=google, env=env, logs=logs)
        try:
            yield made
        finally:
            made.kill()
