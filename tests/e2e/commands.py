"""Running telbot's commands as processes of their own, on the test database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from config import embedded

ROOT = Path(__file__).resolve().parent.parent.parent
TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def database_url() -> str:
    """The test database, for another process."""
    config = connection.settings_dict
    host = config["HOST"] or config["OPTIONS"].get("host", "")
    login = quote(config["USER"] or "")
    login += f":{quote(config['PASSWORD'])}" if config["PASSWORD"] else ""
    place = f"?host={quote(host, safe='/')}" + (f"&port={config['PORT']}" if config["PORT"] else "")
    if config["PORT"] and not host.startswith("/"):
        return f"postgresql://{login}@{host}:{config['PORT']}/{config['NAME']}"
    return f"postgresql://{login}@/{config['NAME']}{place}"


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that works on the test database."""
    return os.environ | {"DATABASE_URL": database_url()} | more


def telegram_at(url: str, **more: str) -> dict[str, str]:
    """Settings that send to a receiver of the test's own."""
    return {
        "BOT_TOKEN": TOKEN,
        "TELEGRAM_API_URL": url,
        "STAGING_ALLOWED_CHATS": "*",
        "TELEGRAM_SENDS_PER_SECOND": "100",
    } | more


def run(*arguments: str, env: Mapping[str, str], fails: bool = False) -> dict[str, Any]:
    """Run a management command with --json and return its last line."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments, "--json"],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def run_in_one(*commands: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
    """Run commands with --json one after the other in one process; return the last one's last line.

    Where the story is what they do, not that each begins anew: a process starts once.
    """
    code = "import json, sys; from config.command_line import run\n"
    code += "for argv in json.loads(sys.argv[1]): run(['manage.py', *argv, '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(commands)],
        cwd=ROOT,
        env=dict(env),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@contextmanager
def running(*arguments: str, env: Mapping[str, str]) -> Iterator[int]:
    """One of telbot's lasting commands; see `started`."""
    with started("manage.py", *arguments, env=env) as group:
        yield group


@contextmanager
def started(*arguments: str, env: Mapping[str, str]) -> Iterator[int]:
    """A lasting process and its children, by their group; ended by SIGTERM, as a deploy does."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(env),
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


def stop_redis() -> None:
    """`kill -9` the embedded one; `embedded.ensure` brings it back."""
    where = embedded.locate(Path(settings.LOCAL_DIR))
    pid = int((where.local / "valkey.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    embedded._await(lambda: not embedded._is_alive(pid, "valkey"), seconds=30, what="its end")
