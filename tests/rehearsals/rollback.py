"""`make rehearse-rollback`: a deploy, and back again: the code alone, then the schema, too.

The code before the newest migration is checked out beside this one. It serves, this one is deployed
over it, it comes back on the new schema, the schema goes back under it, and this one is deployed
anew. Messages fall due and journeys begin all the while; a Bot API on loopback counts what arrives.

    python -m tests.rehearsals.rollback [--base COMMIT] [--seconds 8] [--rate 10] [--json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from config import embedded
from tests.integration.delivery.receiver import Receiver, receiving

ROOT = Path(__file__).resolve().parent.parent.parent
WORLD = ROOT / ".local" / "rehearsal"
OLD = WORLD / "before"
APPS = ("attendance", "delivery", "nurture")
TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
STARTING = 30.0
ENDING = 150.0  # the second step of the last journey is due after a minute
PROGRAMS = {
    "worker": ["rundramatiq", "--processes", "1", "--threads", "8",
               "--worker-shutdown-timeout", "20000"],
    "clock": ["runclock"],
}  # fmt: skip
FEEDER = (Path(__file__).parent / "feeder.py").read_text()
SEQUENCE = """\
sequence: rehearsal
name: Rehearsal
entry: {key: session, again: every key}
triggers:
  - {fact: missed}
steps:
  - {key: one, text: "{{ first_name }}, one"}
  - {key: two, wait: {after: 1m}, text: "{{ first_name }}, two"}
"""


class RehearsalError(RuntimeError):
    """Something of the rehearsal did not come about; what was found so far is printed."""


def git(*words: str) -> str:
    """What git says."""
    return subprocess.run(
        ["git", *words], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def migrations_of(commit: str) -> set[tuple[str, str]]:
    """(app, name) of every migration of ours in `commit`."""
    folders = [f"{app}/migrations" for app in APPS]
    files = [Path(line) for line in git("ls-tree", "-r", "--name-only", commit, *folders).split()]
    return {(path.parts[0], path.stem) for path in files if path.stem[:4].isdigit()}


def newest_before(commit: str) -> str:
    """The newest commit of this line whose migrations are these without the last."""
    present = migrations_of(commit)
    for older in git("rev-list", "--first-parent", commit).split():
        if migrations_of(older) < present:
            return older
    raise RehearsalError("no older commit lacks a migration: say --base COMMIT")


@dataclass
class Line:
    """One line of processes (worker, clock, and what owes messages) of one code."""

    name: str
    tree: Path
    env: dict[str, str]
    rate: float
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    exits: Counter[str] = field(default_factory=Counter)

    def manage(self, *words: str) -> str:
        """Run a command of this code to its end; what it said."""
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.tree, env=self.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RehearsalError(f"{self.name}: {' '.join(words)} failed:\n{done.stderr[-2000:]}")
        return done.stdout

    def start(self, *, first: int) -> None:
        """Worker, clock, and messages and facts from number `first` on."""
        for name, words in PROGRAMS.items():
            self._start(name, [sys.executable, "manage.py", *words])
        self._start("feeder", [sys.executable, "-c", FEEDER, str(first), str(1 / self.rate)])

    def _start(self, name: str, command: list[str]) -> None:
        with self.log.open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=self.tree, env=self.env, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    @property
    def log(self) -> Path:
        """What its processes said."""
        return WORLD / f"{self.name}.log"

    def stop(self, *names: str) -> None:
        """SIGTERM, as a deploy does; all by default. What does not leave in time is killed."""
        leaving = {name: self.processes.pop(name) for name in names or tuple(self.processes)}
        for process in leaving.values():
            process.terminate()
        for name, process in leaving.items():
            try:
                code = process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                code = process.wait()
            self.exits[f"{name} {code}"] += 1

    def ready_workers(self) -> int:
        """How often a worker has said that it is at work."""
        return self.said().count("is ready for action")

    def said(self) -> str:
        """All that its processes said."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def complaints(self) -> int:
        """How often its processes told of an error."""
        return self.said().count("Traceback (most recent call last)")


@dataclass
class Rehearsal:
    """The whole of it, and what it found."""

    receiver: Receiver
    old: Line
    new: Line
    database_url: str
    back_to: dict[str, str]
    seconds: float
    phases: list[dict[str, Any]] = field(default_factory=list)

    def run(self) -> None:
        """Deploy, code back, schema back, deploy anew."""
        self.old.manage("migrate")
        sequence = WORLD / "sequence.yaml"
        sequence.write_text(SEQUENCE)
        self.old.manage("import_sequence", str(sequence), "--publish")
        self.old.start(first=100_000)
        self.receiver.await_count(1, seconds=STARTING)
        with self.phase("code before, schema before"):
            time.sleep(self.seconds)
        with self.phase("pre-deploy: migrate under the code before"):
            self.new.manage("predeploy")
        with self.phase("code before on the new schema"):
            time.sleep(self.seconds)
        with self.phase("deploy: new processes start, the ones before leave"):
            self.swap(self.old, self.new, first=200_000)
        with self.phase("new code, new schema"):
            time.sleep(self.seconds)
        with self.phase("code rollback: the ones before come back"):
            self.swap(self.new, self.old, first=300_000)
        with self.phase("code before on the new schema, after the rollback"):
            time.sleep(self.seconds)
        with self.phase("schema rollback under the code before"):
            for app, name in self.back_to.items():
                self.new.manage("migrate", app, name)
        with self.phase("code before, schema before, after the rollback"):
            time.sleep(self.seconds)
        with self.phase("deploy anew"):
            self.new.manage("predeploy")
            self.swap(self.old, self.new, first=400_000)
        with self.phase("new code, new schema, after all"):
            time.sleep(self.seconds)
        self.drain()

    def swap(self, leaving: Line, coming: Line, *, first: int) -> None:
        """As Render does: the new ones start first, and the others leave once these work."""
        before = coming.ready_workers()
        coming.start(first=first)
        with self.receiver.changed:
            came = self.receiver.changed.wait_for(
                lambda: any(text >= f"message {first}" for _, text in self.receiver.texts),
                timeout=STARTING,
            )
        if not came:
            raise RehearsalError(f"{coming.name}: nothing it owes arrived; see {coming.log}")
        deadline = time.monotonic() + STARTING
        while coming.ready_workers() == before:
            if time.monotonic() > deadline:
                raise RehearsalError(f"{coming.name}: its worker did not start; see {coming.log}")
            time.sleep(0.1)
        leaving.stop()

    def drain(self) -> None:
        """Owe no more, and wait until nothing is owed and no journey is under way."""
        self.new.stop("feeder")
        deadline = time.monotonic() + ENDING
        while self.states().keys() - {"sent", "unknown"} or self.journeys().keys() - {"completed"}:
            if time.monotonic() > deadline:
                raise RehearsalError(f"left: {self.states()}, journeys {self.journeys()}")
            time.sleep(0.5)
        self.new.stop()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Note what arrives meanwhile, and the longest silence."""
        began, before = time.monotonic(), len(self.receiver.times)
        yield
        seconds = time.monotonic() - began
        times = self.receiver.times[max(0, before - 1) :]
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        row = {
            "phase": name,
            "seconds": round(seconds, 1),
            "arrived": len(self.receiver.times) - before,
            "longest_silence": round(max(gaps, default=seconds), 1),
        }
        self.phases.append(row)
        sys.stdout.write(
            f"{row['seconds']:6.1f} s  {row['arrived']:4} arrived, longest silence "
            f"{row['longest_silence']:4.1f} s  {name}\n"
        )
        sys.stdout.flush()

    def states(self) -> dict[str, int]:
        """How many deliveries are in which state, whatever code wrote them."""
        return dict(self._ask("SELECT status, count(*) FROM nurture_deliveries GROUP BY 1"))

    def journeys(self) -> dict[str, int]:
        """How many journeys are in which state."""
        return dict(self._ask("SELECT status, count(*) FROM user_nurture_journeys GROUP BY 1"))

    def _ask(self, statement: str) -> list[Any]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement.encode()).fetchall()

    def figures(self) -> dict[str, Any]:
        """What is owed beside what arrived."""
        owed = Counter(text for (text,) in self._ask("SELECT text FROM nurture_deliveries"))
        arrived = Counter(text for _, text in self.receiver.texts)
        (facts,) = self._ask("SELECT count(*) FROM attendance_attendanceevent")[0]
        (steps,) = self._ask(
            "SELECT count(*) FROM nurture_deliveries WHERE dedupe_key NOT LIKE 'rehearsal:%'"
        )[0]
        latest = self._ask(
            "SELECT coalesce(max(extract(epoch FROM settled_at - due_at)), 0)::float"
            " FROM nurture_deliveries"
        )[0][0]
        return {
            "owed": owed.total(),
            "arrived": arrived.total(),
            "lost": (owed - arrived).total() + 2 * facts - steps,
            "doubled": sum(count - 1 for count in arrived.values()),
            "states": self.states(),
            "facts": facts,
            "journeys": self.journeys(),
            "latest_seconds": round(latest, 1),
            "errors": {line.name: line.complaints() for line in (self.old, self.new)},
            "exits": dict(self.old.exits + self.new.exits),
            "phases": self.phases,
        }


def servers() -> tuple[str, dict[str, str]]:
    """A world of its own, empty: the database's URL, and what tells processes of it."""
    where = embedded.ensure(WORLD)
    with psycopg.connect(
        where.database_url.replace("/telbot?", "/postgres?"), autocommit=True
    ) as c:
        c.execute("DROP DATABASE IF EXISTS telbot WITH (FORCE)")
        c.execute("CREATE DATABASE telbot")
    return where.database_url, {
        "LOCAL_DIR": str(WORLD),
        "DATABASE_URL": where.database_url,
        "REDIS_URL": where.redis_url,
    }


def unpack(commit: str) -> Path:
    """The code of `commit`, beside this one."""
    shutil.rmtree(OLD, ignore_errors=True)
    OLD.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(OLD)], input=archive.stdout, check=True)
    return OLD


def rehearse(*, base: str, seconds: float, rate: float) -> dict[str, Any]:
    """Play it all; return the figures."""
    added = sorted(migrations_of("HEAD") - migrations_of(base))
    back_to = {
        app: max((name for owner, name in migrations_of(base) if owner == app), default="zero")
        for app in dict.fromkeys(app for app, _ in reversed(added))
    }
    names = ", ".join(f"{app}.{name}" for app, name in added)
    sys.stdout.write(
        f"before: {git('log', '-1', '--format=%h %s', base)}\nnew in HEAD: {names}\n\n"
    )
    database_url, env = servers()
    for log in WORLD.glob("*.log"):
        log.unlink()
    with receiving(Receiver(latency=0.05)) as receiver:
        env = os.environ | env | {
            "DJANGO_SETTINGS_MODULE": "config.settings", "BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": receiver.url, "STAGING_ALLOWED_CHATS": "*",
            "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        rehearsal = Rehearsal(
            receiver=receiver, database_url=database_url, back_to=back_to, seconds=seconds,
            old=Line("before", unpack(base), env, rate), new=Line("new", ROOT, env, rate),
        )  # fmt: skip
        try:
            rehearsal.run()
        finally:
            rehearsal.old.stop()
            rehearsal.new.stop()
        return {"base": git("rev-parse", "--short", base), "new": names} | rehearsal.figures()


def main() -> None:
    """Leave with 1 if a message was lost or doubled, or one cannot be known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--base", default="", help="the code before; default: without the newest migration"
    )
    parser.add_argument("--seconds", type=float, default=8, help="how long each state is held")
    parser.add_argument("--rate", type=float, default=10, help="messages owed a second")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    base = options.base or newest_before("HEAD")
    try:
        figures = rehearse(base=base, seconds=options.seconds, rate=options.rate)
    finally:
        embedded.stop(WORLD)
    sys.stdout.write(
        f"\n{figures['owed']} owed, {figures['arrived']} arrived, {figures['lost']} lost, "
        f"{figures['doubled']} doubled; states {figures['states']}; {figures['facts']} facts, "
        f"journeys {figures['journeys']}; the latest after "
        f"{figures['latest_seconds']} s; errors told {figures['errors']}; "
        f"exits {figures['exits']}\n"
    )
    if options.json:
        sys.stdout.write(json.dumps(figures) + "\n")
    wrong = figures["lost"] or figures["doubled"] or figures["states"].get("unknown", 0)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
