"""What operators see of the whole way, and what nobody may see (S13, S15, S19).

Real processes – a command, web, worker and clock – with the data of a school in them; what they
write and send is collected and searched for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
from django.test import override_settings

import nurture.tasks
from attendance.sandbox import World, build_world, serve, service_account_key
from delivery.models import Delivery
from tests.e2e.commands import ROOT, TOKEN, environment, telegram_at
from tests.e2e.observers import Observer, hanging, observing
from tests.e2e.test_the_whole_way import SEQUENCE, owed, write_learners
from tests.factories.delivery import make_delivery
from tests.integration.delivery.inbound_updates import message
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SECRET = "wh-secret-4711-0815"
KEY = "planted-secret-key-" * 4
DRAWN_OUT = hashlib.sha512(KEY.encode()).hexdigest()  # what it is outside `local`
SAID = "Please call me Rosalind Featherstonehaugh"
REQUEST = str(uuid.UUID(int=0xABCDEF << 96 | 7))


class School:
    """A school in the database, and everybody's data that must stay in it."""

    def __init__(self, folder: Path) -> None:
        now = datetime.now(UTC)  # Google's log is asked for real moments
        self.world: World = build_world(now=now, weeks=2, learners=12, seed=3)
        self.owed = len(owed(self.world, now=now))
        write_learners(self.world, folder / "learners.csv")
        (folder / "sequence.yaml").write_text(SEQUENCE)
        call_command("import_learners", str(folder / "learners.csv"), verbosity=0)
        call_command("import_sequence", str(folder / "sequence.yaml"), publish=True, verbosity=0)

    def planted(self) -> set[str]:
        """Names, addresses, chat ids, texts and secrets."""
        people = self.world.learners
        return {
            *(row.name for row in people), *(row.name.split()[0] for row in people),
            *(row.email for row in people), *(str(row.telegram_chat_id) for row in people),
            *Delivery.objects.values_list("text", flat=True), *self.world.calendars,
            TOKEN, TOKEN.partition(":")[2], SECRET, KEY, SAID, "Featherstonehaugh", "publickey@",
            "reports@school.example", "boss@school.example", "q=Ana", "Rosalind",
        }  # fmt: skip


@contextmanager
def process(*command: str, env: dict[str, str], said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose words are kept; it is asked to end, as a deploy does."""
    with said.open("wb") as out:
        started = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield started
        started.terminate()
        started.wait(timeout=25)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def manage(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "manage.py", *arguments)


def session() -> str:
    """The cookie of somebody who may see everything."""
    boss = User.objects.create_superuser("boss", "boss@school.example", "x")
    with override_settings(SECRET_KEY=DRAWN_OUT):
        store = SessionStore()
        store[SESSION_KEY], store[HASH_SESSION_KEY] = str(boss.pk), boss.get_session_auth_hash()
        store[BACKEND_SESSION_KEY] = project.AUTHENTICATION_BACKENDS[-1]
        store.create()
    return f"sessionid={store.session_key}"


def ask(url: str, *, data: Any = None, **headers: str) -> int:
    """The status of an answer."""
    body = None if data is None else json.dumps(data).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, named), timeout=20) as answer:
            answer.read()
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        found: int = server.getsockname()[1]
    return found


def await_web(url: str) -> None:
    """Until it answers."""
    for _ in range(300):
        with suppress(urllib.error.URLError):
            if ask(f"{url}/healthz") == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the web process does not answer")


def visit(url: str, chat: int) -> None:
    """What staff, Telegram and trouble ask of the web process."""
    await_web(url)
    assert ask(f"{url}/admin/attendance/learner/?q=Ana", Cookie=session()) == 200
    update = message(1, SAID, chat={"id": chat, "type": "private", "first_name": "Rosalind"})
    secret = {"X_Telegram_Bot_Api_Secret_Token": SECRET, "Content_Type": "application/json"}
    assert ask(f"{url}/telegram/webhook/", data=update, **secret) == 200
    assert ask(f"{url}/nothing/here/Rosalind?q=Ana") == 404
    assert ask(f"{url}/trouble/?q=Ana", X_Request_ID=REQUEST) == 500


def test_operators_see_the_whole_way_and_nobodys_data(tmp_path: Path) -> None:
    with override_settings(SECRET_KEY=DRAWN_OUT):  # people are found by hashes of it
        school = School(tmp_path)
    with ExitStack() as stack:
        observer = stack.enter_context(observing())
        receiver = stack.enter_context(receiving(Receiver()))
        google = stack.enter_context(serve(school.world.google()))
        port = free_port()
        env = environment(
            **telegram_at(receiver.url), **observer.settings,
            ENVIRONMENT="staging", REDIS_URL=project.REDIS_URL, SECRET_KEY=KEY,
            ALLOWED_HOSTS="127.0.0.1", PUBLIC_URL=f"http://127.0.0.1:{port}",
            NURTURE_ENABLED="on", ATTENDANCE_ENABLED="on", ROLLOUT_PERCENT="100",
            TELEGRAM_WEBHOOK_SECRET=SECRET, GOOGLE_API_URL=google,
            GOOGLE_SERVICE_ACCOUNT_JSON=json.dumps(service_account_key(f"{google}/token")),
            GOOGLE_DELEGATED_USER="reports@school.example", RENDER_GIT_COMMIT="abc123",
            DJANGO_SETTINGS_MODULE="tests.e2e.troubled.settings",
            OTEL_BSP_SCHEDULE_DELAY="60000",  # so that all comes by the flush at the end
        )  # fmt: skip
        commands = {
            "web": (
                str(Path(sys.executable).parent / "gunicorn"), "config.wsgi", "--threads", "2",
                "--config", "python:config.serving", "--bind", f"127.0.0.1:{port}",
            ),
            "worker": manage("rundramatiq", "--processes", "1", "--threads", "2"),
            "clock": manage("runclock"),
        }  # fmt: skip
        for name, command in commands.items():
            stack.enter_context(process(*command, env=env, said=tmp_path / f"{name}.log"))
        sync = subprocess.run(
            manage("sync_attendance"), cwd=ROOT, env=env, capture_output=True, check=True
        )
        (tmp_path / "sync.log").write_bytes(sync.stdout + sync.stderr)
        nurture.tasks.ring()
        visit(f"http://127.0.0.1:{port}", school.world.learners[0].telegram_chat_id)
        receiver.await_count(school.owed + 1)
        observer.await_that(lambda: len(reports(observer)) == 3)
    logs = {path.stem: path.read_text() for path in tmp_path.glob("*.log")}
    assert school.owed > 0
    assert_one_trace(observer)
    assert_an_answer_is_a_trace(observer)
    assert_reports(observer)
    assert_lines(logs)
    assert_nobodys_data(school, observer, logs)


def reports(observer: Observer) -> dict[str, dict[str, Any]]:
    """Error reports by where they come from."""
    return {
        event["tags"].get("task") or event.get("transaction") or event["logger"]: event
        for event in observer.events
    }


def assert_one_trace(observer: Observer) -> None:
    """S15: from the Meet record to the Telegram call, over processes."""
    (root,) = observer.named("sync_attendance")
    whole = [span for span in observer.spans if span.trace_id == root.trace_id]
    names = {span.name for span in whole}
    assert {"google reports.activities.list", "nurture.plan", "telegram sendMessage"} <= names
    assert len({span.process for span in whole}) >= 2
    assert all(
        span.attributes["http_status"] == 200
        for span in whole
        if span.name == "telegram sendMessage"
    )


def assert_an_answer_is_a_trace(observer: Observer) -> None:
    """From the webhook over the worker to the reply."""
    (pushed,) = [span for span in observer.spans if span.name == "POST telegram/webhook/"]
    whole = [span for span in observer.spans if span.trace_id == pushed.trace_id]
    assert {"handle_updates", "telegram sendMessage"} <= {span.name for span in whole}
    assert len({span.process for span in whole}) >= 2


def assert_reports(observer: Observer) -> None:
    """S19: one from each process, with release and environment, and no words of the error."""
    found = reports(observer)
    assert {"fail", "/trouble/"} < set(found), list(found)
    for event in found.values():
        assert (event["release"], event["environment"]) == ("abc123", "staging")
        (error,) = event["exception"]["values"]
        assert (error["type"], error["value"]) == ("ValueError", "[…]")
        assert error["stacktrace"]["frames"][-1]["function"] == "stumble"
        assert not any("vars" in frame for frame in error["stacktrace"]["frames"])
    assert found["/trouble/"]["tags"]["request_id"] == REQUEST
    assert found["fail"]["tags"]["request_id"] == REQUEST
    assert found["fail"]["tags"]["task_id"]


def assert_lines(logs: dict[str, str]) -> None:
    """JSON, with the ids of one request in two processes."""
    web = [json.loads(line) for line in logs["web"].splitlines()]
    pages = [row["route"] for row in web if row["event"] == "http.request" and row["status"] == 200]
    assert set(pages) == {"admin/attendance/learner/", "telegram/webhook/"}
    (access,) = [row for row in web if row["event"] == "http.request" and row["status"] == 500]
    assert (access["request_id"], access["route"]) == (REQUEST, "trouble/")
    assert access["milliseconds"] >= 0
    (refused,) = [
        row for row in web if row.get("status") == 404 and row["logger"] == "django.request"
    ]
    assert refused["request_id"] != REQUEST
    worker = [json.loads(line) for line in logs["worker"].splitlines() if line.startswith("{")]
    (failed,) = [row for row in worker if row.get("task") == "fail" and "exception" in row]
    assert failed["request_id"] == REQUEST
    assert failed["trace_id"]
    (died,) = [json.loads(line) for line in logs["clock"].splitlines() if "process.died" in line]
    assert died["exception"].endswith("ValueError: […]")


def assert_nobodys_data(school: School, observer: Observer, logs: dict[str, str]) -> None:
    """S13: none of what is planted is anywhere."""
    told = [*logs.values(), *(body.decode(errors="replace") for body in observer.bodies)]
    assert len(told) > 8
    leaked = {
        secret: where[max(0, found.start() - 80) : found.end() + 40]
        for secret in school.planted()
        for where in told
        if (found := re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", where))
    }
    assert leaked == {}


def test_who_watches_and_hangs_delays_nothing(tmp_path: Path) -> None:
    """A collector and an error tracker that take every connection and never answer."""
    for _ in range(30):
        make_delivery()
    with hanging() as port, receiving(Receiver()) as receiver:
        url = f"http://127.0.0.1:{port}"
        env = environment(
            **telegram_at(receiver.url), OTEL_EXPORTER_OTLP_ENDPOINT=url,
            OTEL_BSP_SCHEDULE_DELAY="50", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5",
            SENTRY_DSN=f"http://publickey@127.0.0.1:{port}/1",
        )  # fmt: skip
        with process(
            *manage("send_due", "--until-empty"), env=env, said=tmp_path / "sender.log"
        ) as sender:
            receiver.await_count(30)
            assert sender.wait(timeout=20) == 0
    assert receiver.total == 30
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sent"}
