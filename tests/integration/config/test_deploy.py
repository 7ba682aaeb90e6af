"""What render.yaml says is run here as Render runs it, and a deploy stops where it must (S08)."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as project
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection
from django.db.migrations.recorder import MigrationRecorder

from config import env as env_table
from config.backups.archive import Manifest
from config.management.commands import predeploy
from delivery.models import Heartbeat
from nurture.domain.roles import ROLES
from tests.blueprint import given, programs, variables
from tests.e2e.commands import ROOT, environment
from tests.integration.config.bucket import bucket

WEB, WORKER, CLOCK = programs("production")


def on_render(name: str, service: dict[str, Any], **more: str) -> dict[str, str]:
    """The variables of a service, with the servers of this test run."""
    servers = {"REDIS_URL": project.REDIS_URL} | more
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given_there = given(name, service)
    del given_there["DATABASE_URL"]
    return environment(PATH=path, **(given_there | servers))


@contextmanager
def started(command: str, env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` in a shell, as Render does; SIGTERM must end it in time, with 0."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=ROOT, env=env, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0, log.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def until(condition: Callable[[], bool], *logs: Path) -> None:
    """Wait for it; what the processes said is told where it does not come."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "\n".join(log.read_text() for log in logs)
        time.sleep(0.05)


def answer(port: int, path: str) -> int:
    """The status that the health check of Render gets, by the address of the machine; 0: none."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        asked.request("GET", path, headers={"Host": "10.1.2.3"})
        return asked.getresponse().status
    except OSError:
        return 0
    finally:
        asked.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_every_command_of_the_blueprint_does_what_it_is_for(tmp_path: Path) -> None:
    """Pre-deploy, then web, worker and clock at once; each is up, and leaves when told."""
    before = [
        subprocess.Popen(
            ["bash", "-c", service["preDeployCommand"]], cwd=ROOT, env=on_render(name, service),
            stdout=subprocess.PIPE, text=True,
        )
        for name, service in (("production", WEB), ("staging", programs("staging")[1]))
    ]  # fmt: skip
    told = [process.communicate(timeout=60)[0] for process in before]
    assert [process.returncode for process in before] == [0, 0], told
    assert "Nothing to migrate." in told[0]
    assert "roles" in told[0]
    assert "Every migration is applied." in told[1]

    port, logs = free_port(), {name: tmp_path / name for name in ("web", "worker", "clock")}
    with ExitStack() as running:
        for service, log in zip((WEB, WORKER, CLOCK), logs.values(), strict=True):
            env = on_render("production", service, PORT=str(port))
            running.enter_context(started(service["startCommand"], env, log))
        until(lambda: answer(port, WEB["healthCheckPath"]) == 200, *logs.values())
        assert answer(port, "/readyz") == 200
        assert answer(port, "/admin/") == 400  # a page refuses that name; the checks before do not
        # The clock notes itself and rings; the worker that hears it notes itself.
        until(lambda: seen() >= {"clock", "worker"}, *logs.values())


def seen() -> set[str]:
    """Which processes have left a sign of life."""
    return set(Heartbeat.objects.values_list("name", flat=True))


def test_a_preview_boots_and_can_call_nobody() -> None:
    """Web, worker and clock of a pull request: what is `sync: false` is not there, or is blank.

    Without a bot the sandbox takes everything; with one by accident, no chat may be called.
    """
    web, *others = [given("staging", service, preview=True) for service in programs("staging")]
    assert others == [web, web]  # so that one process stands for the three
    asked = [
        name for name, v in variables("staging", programs("staging")[0]).items() if "sync" in v
    ]
    blank = dict.fromkeys(asked, "")
    assert env_table.read(web | blank) == env_table.read(web)
    code = """
import django; django.setup()
from django.conf import settings
from django.core.management import call_command
from delivery.calls import may_call
call_command("check", fail_level="WARNING")
said = [settings.ENVIRONMENT, settings.BOT_TOKEN]
settings.BOT_TOKEN = "1:by-accident"
print(said, may_call(7))
"""
    named = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=named | web | blank, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1:] == ["['staging', ''] False"], done.stderr


# --- where a deploy stops -------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the pre-deploy would do, in order; a migration is waiting."""
    MigrationRecorder.Migration.objects.filter(app="nurture").latest("id").delete()
    done: list[str] = []

    def note(name: str, **_: Any) -> None:
        done.append(name)
        if name in os.environ.get("FAILS", ""):
            raise IntegrityError("duplicate key\nDETAIL:  Key (email)=(rosa@example.org) is there")

    monkeypatch.setattr(predeploy, "call_command", note)
    return done


def deploy(settings: Any, monkeypatch: pytest.MonkeyPatch, *, name: str, storage: str) -> str:
    settings.ENVIRONMENT = name
    monkeypatch.setitem(project.VALUES, "BACKUP_S3_URL", storage)
    warned = StringIO()
    call_command("predeploy", stdout=StringIO(), stderr=warned)
    return warned.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "storage", "expected"),
    [
        ("production", "s3://keep", ["backup", "migrate", "setup_roles"]),
        ("production", "", ["migrate", "setup_roles"]),
        ("staging", "s3://keep", ["migrate", "setup_roles"]),
    ],
)
def test_production_is_backed_up_before_it_is_migrated(
    settings: Any, monkeypatch: pytest.MonkeyPatch, steps: list[str],
    name: str, storage: str, expected: list[str],
) -> None:  # fmt: skip
    warned = deploy(settings, monkeypatch, name=name, storage=storage)

    assert steps == expected
    assert ("No backup of our own" in warned) == (name == "production" and not storage)
    with connection.cursor() as cursor:
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchone() == ("5s",)  # rather no deploy than everybody queueing behind it


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fails", "done", "said"),
    [
        ("backup", ["backup"], "Nothing was migrated"),
        ("migrate", ["backup", "migrate"], r"at a migration: IntegrityError: duplicate key\n"),
    ],
)
def test_a_step_that_fails_stops_the_deploy(
    settings: Any, monkeypatch: pytest.MonkeyPatch, steps: list[str],
    fails: str, done: list[str], said: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FAILS", fails)

    with pytest.raises(CommandError, match=said):
        deploy(settings, monkeypatch, name="production", storage="s3://keep")

    assert steps == done


@pytest.mark.django_db(transaction=True)
def test_the_backup_before_a_migration_is_a_real_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stands in: the storage has the schema of before, then come the tables, the roles."""
    newest, before = ("nurture", "0020_trace"), ("nurture", "0019_backup_runs")
    call_command("migrate", *before, verbosity=0)
    Group.objects.all().delete()
    try:
        with bucket() as store:
            settings.BACKUP_S3_URL = store.url()
            deploy(settings, monkeypatch, name="production", storage=store.url())
    finally:
        call_command("migrate", verbosity=0)

    ((name, file),) = store.objects.items()
    kept = Manifest.from_json(zipfile.ZipFile(BytesIO(file)).read("manifest.json"))
    assert name.startswith("telbot/telbot-production-")
    assert before in kept.migrations
    assert newest not in kept.migrations
    assert newest in MigrationRecorder(connection).applied_migrations()
    assert set(Group.objects.values_list("name", flat=True)) == set(ROLES)


@pytest.mark.django_db
def test_a_database_that_does_not_answer_stops_the_deploy(
    monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    monkeypatch.setattr(predeploy, "database_problem", lambda: "the database does not answer")

    with pytest.raises(CommandError, match="Nothing was changed: the database does not answer"):
        call_command("predeploy", seconds=0)

    assert steps == []


@pytest.mark.django_db
def test_a_new_database_has_nothing_to_back_up(
    settings: Any, monkeypatch: pytest.MonkeyPatch, steps: list[str]
) -> None:
    MigrationRecorder.Migration.objects.all().delete()

    deploy(settings, monkeypatch, name="production", storage="s3://keep")

    assert steps == ["migrate", "setup_roles"]


@pytest.mark.django_db
def test_a_worker_waits_for_the_migrations_of_its_code() -> None:
    call_command("wait_for_migrations", seconds=0, stdout=StringIO())
    MigrationRecorder.Migration.objects.filter(app="delivery").latest("id").delete()

    with pytest.raises(CommandError, match="1 migrations are not applied"):
        call_command("wait_for_migrations", seconds=0, stdout=StringIO())
