"""How fast messages get out, beside other ways to do it, in one run to one receiver.

`make bench-delivery`, or `SHORT=1 make bench-delivery` (without the libraries that telbot itself
does not need). Contenders take turns, three rounds, medians. Then how late a message is, how soon
somebody is answered, and what a claim costs. Prints a table and one JSON object as the last line.
It fails where a message is lost or doubled, never for a time.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from config import embedded  # noqa: E402
from tests.bench import claims, lateness, plot, queues, reaction, replies  # noqa: E402
from tests.bench.report import Figures, expect, table  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402
from tests.e2e.commands import ROOT, environment, telegram_at  # noqa: E402
from tests.integration.delivery.receiver import Receiver  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PEERS_PYTHON = ROOT / ".venv-peers" / "bin" / "python"
#: Name in the report, contender, processes.
LINES = (
    ("raw", "raw", 1),
    ("telbot", "telbot", 1),
    ("telbot x2", "telbot", 2),
    ("dramatiq", "dramatiq", 2),
    ("procrastinate", "procrastinate", 1),
    ("procrastinate x2", "procrastinate", 2),
    ("post_office", "post_office", 1),
)
PEERS = {"procrastinate", "post_office"}


@dataclass(kw_only=True)
class Sink:
    """The receiver's process."""

    url: str

    def take_count(self) -> dict[str, int]:
        """How many messages came since the last time, and to how many chats."""
        with urllib.request.urlopen(f"{self.url}/count") as answer:
            told: dict[str, int] = json.load(answer)
        return told


@contextmanager
def a_sink() -> Iterator[Sink]:
    """Start one; ended after the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.sink"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield Sink(url=f"http://127.0.0.1:{int(process.stdout.readline())}")
    finally:
        process.kill()
        process.communicate()


def postgres_cpu() -> float:
    """CPU seconds of the embedded server so far: the living processes and those it has reaped.

    A backend that ends while we read would be missed, so we read again until none does.
    """
    pid_file = embedded.locate(Path(settings.LOCAL_DIR)).local / "pg" / "postmaster.pid"
    postmaster = Path("/proc") / pid_file.read_text().split()[0]
    while True:
        before = _stat(postmaster)
        living = [_stat(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        if _stat(postmaster)[13:15] == before[13:15]:
            break
    # utime and stime, and for the postmaster those of children that ended
    total = sum(map(int, before[11:15]))
    for fields in living:
        if fields and fields[1] == postmaster.name:
            total += sum(map(int, fields[11:13]))
    return total / TICKS


def _stat(process: Path) -> list[str]:
    """The fields of its stat file after its name; none where it has ended."""
    with suppress(OSError):
        return (process / "stat").read_text().rpartition(")")[2].split()
    return []


def race(contender: str, *, processes: int, count: int, sink: Sink) -> Figures:
    """Let one contender get `count` messages to the sink; what it took."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE nurture_deliveries, delivery_chat, delivery_gate CASCADE")
    python = str(PEERS_PYTHON) if contender in PEERS else sys.executable
    env = environment(
        **telegram_at(sink.url, TELEGRAM_SENDS_PER_SECOND="100000", REDIS_URL=settings.REDIS_URL)
    )
    with ExitStack() as stack:
        started = []
        for number in range(processes):
            # The first one brings the work, the others only help.
            arguments = ["-m", "tests.bench.contenders", contender, str(0 if number else count)]
            process = stack.enter_context(
                subprocess.Popen(
                    [python, *arguments, sink.url],
                    cwd=ROOT, env=env, text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                )
            )  # fmt: skip
            expect(f"{contender} is ready", _said(process), "ready")
            started.append(process)
        sink.take_count()
        postgres, began = postgres_cpu(), time.perf_counter()
        for process in started:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [json.loads(_said(process)) for process in started]
        seconds = time.perf_counter() - began
        postgres = postgres_cpu() - postgres
    expect(f"{contender} sent", sink.take_count(), {"messages": count, "chats": count})
    figures: Figures = {
        "per_second": count / seconds,
        "cpu_us": 1e6 * sum(one["cpu"] for one in said) / count,
        "postgres_us": 1e6 * postgres / count,
    }
    if "statements" in said[0]:
        expect("on the books as sent", sum(one["ended"].get("sent", 0) for one in said), count)
        figures["statements"] = sum(one["statements"] for one in said) / count
    return figures


def _said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def races(*, count: int, rounds: int, peers: bool) -> dict[str, Figures]:
    """Everybody in turn, `rounds` times, each time beginning with another; the medians."""
    lines = [line for line in LINES if peers or line[1] not in PEERS]
    found: dict[str, list[Figures]] = {line[0]: [] for line in lines}
    with a_sink() as sink:
        for turn in range(rounds):
            for name, contender, processes in lines[turn:] + lines[:turn]:
                found[name].append(race(contender, processes=processes, count=count, sink=sink))
    return {
        name: {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    }


def ratios(found: dict[str, Figures]) -> list[tuple[str, float, str]]:
    """telbot's messages a second by those of the others, with what is aimed at.

    As many processes as suit each best: two for all but the bare loop, which is one by its nature,
    and django-post_office, which has threads. telbot with one is told, too.
    """
    aims = {"raw": ">= 0.65", "procrastinate": "", "procrastinate x2": ">= 2.5"}
    aims |= {"post_office": ">= 1.6", "dramatiq": ">= 0.8"}
    pairs = [("telbot", "raw"), *(("telbot x2", name) for name in aims)]
    return [
        (
            f"{ours} / {name}",
            round(found[ours]["per_second"] / found[name]["per_second"], 2),
            aims[name] if ours == "telbot x2" else "",
        )
        for ours, name in pairs
        if name in found
    ]


def service(*, short: bool) -> tuple[dict[str, Figures], list[float]]:
    """How late, how soon, and how evenly, with the processes of production; and each lateness."""
    queues.empty()  # what was made without keys would not let them start
    with queues.at_work(Receiver()) as receiver:
        late, each = lateness.measure(
            receiver, seconds=2 if short else 120, waiting=2_000 if short else 100_000
        )
        reactions = reaction.measure(receiver, times=1 if short else 40)
    beside = replies.measure(seconds=4 if short else 60)
    return {"lateness": late, "reaction": reactions, "replies": beside}, each


def main() -> None:
    """Run the bench; exit non-zero where a message was lost or doubled."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer of all: under 40 s")
    parser.add_argument("--plot", type=Path, help="draw the race and the lateness into this SVG")
    options = parser.parse_args()
    short = options.short
    load = os.getloadavg()[0]
    with own_database(cache=settings.CACHES["default"]["KEY_PREFIX"]):
        found = races(count=600 if short else 10_000, rounds=1 if short else 3, peers=not short)
        _print_races(found)
        behind = claims.measure(short=short)
        table(claims.lines(behind))
        served, each = service(short=short)
    table(
        [
            *lateness.lines(served["lateness"]),
            *reaction.lines(served["reaction"]),
            *replies.lines(served["replies"]),
            ("load average before and after", load, f"{os.getloadavg()[0]:.1f}"),
        ]
    )
    if options.plot:
        plot.draw(options.plot, races=found, late=each)
    sys.stdout.write(json.dumps({
        "short": short, "load": load, "races": found, "claims": behind, **served,
        "ratios": {name: value for name, value, _ in ratios(found)},
    }, sort_keys=True) + "\n")  # fmt: skip


def _print_races(found: dict[str, Figures]) -> None:
    """As soon as they are known: what follows takes minutes."""
    out = sys.stdout.write
    out(f"  {'':<20}{'msg/s':>10}{'CPU us':>10}{'PG us':>10}{'statements':>12}\n")
    for name, one in found.items():
        out(f"  {name:<20}{one['per_second']:>10,.0f}{one['cpu_us']:>10,.0f}")
        out(f"{one['postgres_us']:>10,.0f}{one.get('statements', float('nan')):>12.2f}\n")
    table(
        [
            *ratios(found),
            ("PostgreSQL CPU, us a message", found["telbot x2"]["postgres_us"], "<= 300"),
            ("SQL statements a message", found["telbot x2"]["statements"], "<= 0.3"),
        ]
    )


if __name__ == "__main__":
    main()
