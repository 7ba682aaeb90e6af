"""What one claim costs: among many, behind a closed stream, under an old snapshot.

Each in a database of its own, by turns in one run, so that what else the machine does hits all.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
from django.db import connection, connections

from delivery import postgres
from delivery.domain import pacing
from delivery.ledger import Ledger
from delivery.rows import Held
from delivery.services.gates import ensure_stream
from tests.bench.queues import empty, fill
from tests.bench.report import Figures, Line, expect
from tests.bench.worlds import copied, working_on
from tests.faults.books import owe

SHUT = "stream:shut"


async def _claim(due: int, *, give_back: bool) -> list[float]:
    """Claim so many, a batch at a time; milliseconds of each claim."""
    ledger = Ledger()
    took: list[float] = []
    claimed: list[Held] = []
    try:
        await ledger.open()
        while len(claimed) < due:
            await ledger._run("UPDATE delivery_gate SET next_slot_at = now() WHERE key = 'bot'")
            began = time.perf_counter()
            batch = await ledger.claim(replies=False)
            if not batch:
                break
            took.append(1000 * (time.perf_counter() - began))
            claimed += batch
        expect("claimed", len(claimed), due)
        if give_back:
            await ledger.release(claimed)
            await ledger._run("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
    finally:
        await ledger.close()
    return took


def _claims(world: Any, due: int, *, give_back: bool = True) -> list[float]:
    with _ledgers_on(world):
        return asyncio.run(_claim(due, give_back=give_back))


@contextmanager
def _ledgers_on(world: Any) -> Iterator[None]:
    """A loop has Django's connections anew, from the settings: so it is they that change."""
    config = connections.settings["default"]
    usual = config["NAME"]
    config["NAME"] = world.settings_dict["NAME"]
    try:
        yield
    finally:
        config["NAME"] = usual


def _begin(due: int) -> None:
    """So many are due, at a rate that keeps nobody waiting; another stream is shut."""
    empty()
    owe(due)
    ensure_stream("shut")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_gate SET closed_until = '2999-01-01Z' WHERE key = %s", [SHUT]
        )
        cursor.execute(
            "UPDATE delivery_gate SET rate = %s WHERE key = 'bot'", [pacing.UNPACED_RATE * 10]
        )


def measure(*, short: bool) -> Figures:
    """All of them, each beside the same claim without it."""
    due = 300 if short else 1_000
    few, many, behind = (1_000, 10_000, 3_000) if short else (10_000, 1_000_000, 100_000)
    _begin(due)
    fill(few, stream="stream:", at="30 days")
    figures: Figures = {"due": due, "few": few, "many": many, "behind": behind}
    with ExitStack() as stack:
        worlds = {"few": stack.enter_context(copied("few"))}
        for name, more in {
            "many": {"count": many - few, "stream": "stream:", "at": "40 days"},
            "behind": {"count": behind, "stream": SHUT, "at": "-1 day", "theirs": False},
            "chats": {"count": behind, "stream": SHUT, "at": "-1 day"},
            "chat": {"count": behind, "stream": SHUT, "at": "-1 day", "chats": 1},
        }.items():
            worlds[name] = stack.enter_context(copied(name))
            with working_on(worlds[name]):
                fill(**more)  # type: ignore[arg-type]
        figures |= _by_turns(worlds, due=due, rounds=1 if short else 15)
    return figures | _under_snapshot(count=2_400 if short else 60_000)


def _by_turns(worlds: dict[str, Any], *, due: int, rounds: int) -> Figures:
    """Milliseconds of a claim in each, and the median of the ratios of each round."""
    names = list(worlds)
    took: dict[str, list[float]] = {name: [] for name in (*names, "first")}
    for turn in range(-1, rounds):  # the first one warms up
        for name in (*names[turn % len(names) :], *names[: turn % len(names)]):
            claims = _claims(worlds[name], due)
            if turn >= 0:
                # The chat with much to come is in the first claim, and in no other.
                took[name].append(claims[0] if name == "chat" else statistics.median(claims))
                if name == "few":
                    took["first"].append(claims[0])
    figures: Figures = {f"ms_{name}": statistics.median(took[name]) for name in took}
    for name, base in {"many": "few", "behind": "few", "chats": "few", "chat": "first"}.items():
        pairs = zip(took[name], took[base], strict=True)
        figures[f"ratio_{name}"] = statistics.median(one / other for one, other in pairs)
    return figures


@contextmanager
def _old_snapshot(world: Any) -> Iterator[None]:
    """A report that began before, and is not done yet."""
    with working_on(world):
        parameters = postgres.parameters()
    with psycopg.connect(**parameters) as report:
        # Production ends a transaction that idles for a minute; a busy one may last longer.
        report.execute("SET idle_in_transaction_session_timeout = 0")
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM delivery_chat")
        yield


def _under_snapshot(*, count: int) -> Figures:
    """A long drain with a report that holds an old snapshot, and without; its last tenth."""
    _begin(count)
    step = count // 20
    took: dict[str, list[float]] = {"calm": [], "held": []}
    with copied("calm") as calm, copied("held") as held, _old_snapshot(held):
        worlds = {"calm": calm, "held": held}
        for turn in range(19):
            for name in ("calm", "held") if turn % 2 else ("held", "calm"):
                claims = _claims(worlds[name], step, give_back=False)
                took[name].append(statistics.median(claims))
    ratios = [one / other for one, other in zip(took["held"], took["calm"], strict=True)]
    return {
        "snapshot_rows": 18 * step,
        "ms_calm": statistics.median(took["calm"][-2:]),
        "ms_held": statistics.median(took["held"][-2:]),
        "ratio_snapshot": statistics.median(ratios[-2:]),
    }


def lines(found: Figures) -> list[Line]:
    """For the table."""
    due, closed = f"claim, {found['due']:,} due", f"{found['behind']:,} behind a closed stream"
    return [
        (f"{due} among {found['few']:,}, ms", found["ms_few"], ""),
        (f"{due} among {found['many']:,}, ratio", found["ratio_many"], "<= 1.3"),
        (f"{due}, {closed}, ratio", found["ratio_behind"], "<= 1.3"),
        ("  a hundred to each chat that is due, ratio", found["ratio_chats"], "<= 1.3"),
        ("  all of them to one chat that is due, ratio", found["ratio_chat"], ""),
        (f"claim after {found['snapshot_rows']:,} under an old snapshot, ratio",
         found["ratio_snapshot"], "<= 2"),
    ]  # fmt: skip
