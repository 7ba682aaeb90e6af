"""The embedded servers: shared, quick to find again, hard to break."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import redis

from config import embedded

pytestmark = pytest.mark.slow
START = "import sys; from pathlib import Path; from config import embedded; "
START += "embedded.ensure(Path(sys.argv[1]))"


@pytest.fixture
def world() -> Iterator[Path]:
    """A LOCAL_DIR of its own, ended and removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="telbot-embedded-"))
    path.chmod(0o755)
    yield path
    embedded.stop(path)
    shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(embedded.locate(path).run, ignore_errors=True)


def start(world: Path) -> subprocess.Popen[bytes]:
    """Ask for the servers from a process of its own."""
    return subprocess.Popen([sys.executable, "-c", START, str(world)], start_new_session=True)


def both_answer(where: embedded.Embedded) -> bool:
    """Whether PostgreSQL and Valkey do what they are for."""
    with psycopg.connect(where.database_url) as connection:
        row = connection.execute("SELECT current_database()").fetchone()
    return row == ("telbot",) and bool(redis.Redis.from_url(where.redis_url).ping())


def await_death(pid: int) -> None:
    """Wait until a killed process is gone; a zombie is, though it is still listed."""
    deadline = time.monotonic() + 20
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state in "ZX":
            return
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.01)


def test_many_processes_at_once_start_one_server_each_and_find_it_again_at_once(
    world: Path,
) -> None:
    starters = [start(world) for _ in range(6)]

    assert [starter.wait(timeout=60) for starter in starters] == [0] * 6
    where, pid = embedded.locate(world), (world / "pg" / "postmaster.pid").read_text()
    assert both_answer(where)
    with psycopg.connect(where.database_url) as connection:
        row = connection.execute("SHOW listen_addresses").fetchone()
    assert row == ("",)  # no TCP port that somebody else could reach
    began = time.monotonic()
    assert embedded.ensure(world) == where
    assert time.monotonic() - began < 1
    assert (world / "pg" / "postmaster.pid").read_text() == pid


def test_the_servers_survive_whoever_started_them_and_come_back_with_what_was_committed(
    world: Path,
) -> None:
    starter = start(world)
    assert starter.wait(timeout=60) == 0
    with suppress(ProcessLookupError):
        os.killpg(starter.pid, signal.SIGKILL)
    where = embedded.locate(world)
    assert both_answer(where)
    with psycopg.connect(where.database_url) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    for pid_file in (world / "pg" / "postmaster.pid", world / "valkey.pid"):
        pid = int(pid_file.read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        await_death(pid)

    embedded.ensure(world)

    assert both_answer(where)
    with psycopg.connect(where.database_url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


@pytest.mark.parametrize("milliseconds", [30, 200, 500, 700, 900])
def test_a_start_that_is_killed_is_repaired_by_the_next(world: Path, milliseconds: int) -> None:
    starter = start(world)
    try:
        starter.wait(timeout=milliseconds / 1000)
    except subprocess.TimeoutExpired:
        os.killpg(starter.pid, signal.SIGKILL)
        starter.wait()

    assert both_answer(embedded.ensure(world))


def test_a_long_path_finds_a_short_socket(tmp_path: Path) -> None:
    where = embedded.locate(tmp_path / ("deep" * 30))

    assert len(str(where.run / ".s.PGSQL.5432.lock")) <= embedded.SOCKET_PATH_LIMIT
    assert where == embedded.locate(tmp_path / ("deep" * 30))


def test_stopping_what_does_not_run_is_no_error(tmp_path: Path) -> None:
    embedded.stop(tmp_path / "nothing")
