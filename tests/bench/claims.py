"""What one claim costs: among many, behind a closed stream, under an old snapshot."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection

from delivery.domain import pacing
from delivery.ledger import Ledger, _parameters
from delivery.rows import Held
from delivery.services.gates import ensure_stream
from tests.bench.report import Figures, expect
from tests.faults.books import owe

#: Rows like those of `owe`, to no chat that is due: far away, or behind another stream.
_MORE = """
INSERT INTO nurture_deliveries
    (chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason, due_at,
     run_at, window_days, window_zone, leased_by, fence, withdrawal, attempts, deaths, last_error,
     is_test, diverted)
SELECT (SELECT min(id) FROM delivery_chat), %(stream)s, 1, 100, '', %(stream)s || %(at)s || n,
       'Hello', '[]', 'pending', '', now() + %(at)s::interval, now() + %(at)s::interval, 127, '',
       '', 0, '', 0, 0, '', false, false
  FROM generate_series(1, %(count)s) n
"""


async def _claim_all(due: int, *, give_back: bool) -> list[float]:
    """Claim everything that is due, a batch at a time; milliseconds of each claim."""
    ledger = Ledger()
    await ledger.open()
    took: list[float] = []
    claimed: list[Held] = []
    while len(claimed) < due:
        began = time.perf_counter()
        batch = await ledger.claim(replies=False)
        if not batch:
            break
        took.append(1000 * (time.perf_counter() - began))
        claimed += batch
        await ledger._run("UPDATE delivery_gate SET next_slot_at = now()")
    expect("claimed", len(claimed), due)
    if give_back:
        await ledger.release(claimed)
        await ledger._run("UPDATE delivery_chat SET next_slot_at = '2000-01-01Z'")
    await ledger.close()
    return took


def _cost(due: int) -> float:
    """Milliseconds of a claim: the median over the claims of everything that is due."""
    return statistics.median(asyncio.run(_claim_all(due, give_back=True)))


def _fill(count: int, *, stream: str, at: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_MORE, {"count": count, "stream": stream, "at": at})
        cursor.execute("VACUUM ANALYZE nurture_deliveries")


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE nurture_deliveries, delivery_chat, delivery_gate CASCADE")


def _set_rate() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_gate SET rate = %s WHERE key = 'bot'", [pacing.UNPACED_RATE * 10]
        )


@contextmanager
def _old_snapshot() -> Iterator[None]:
    """A report that began before, and is not done yet."""
    with psycopg.connect(**_parameters()) as report:
        report.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        report.execute("SELECT count(*) FROM delivery_chat")
        yield


def _compared(due: int, *, before: float, rounds: int) -> tuple[float, float]:
    after = statistics.median(_cost(due) for _ in range(rounds))
    return after, after / before


def measure(*, short: bool) -> Figures:
    """All three, each beside the same claim without it."""
    due = 300 if short else 1_000
    few, many = (1_000, 20_000) if short else (10_000, 1_000_000)
    rounds = 3 if short else 5
    _empty()
    owe(due)
    _set_rate()
    _fill(few, stream="stream:", at="30 days")
    _cost(due)  # warms up
    base = statistics.median(_cost(due) for _ in range(rounds))
    figures: Figures = {"due": due, "few": few, "many": many, "ms_among_few": base}
    # behind a closed stream
    ensure_stream("shut")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_gate SET closed_until = '2999-01-01Z' WHERE key = 'stream:shut'"
        )
    figures["behind"] = 5_000 if short else 100_000
    _fill(int(figures["behind"]), stream="stream:shut", at="-1 day")
    figures["ms_behind"], figures["ratio_behind"] = _compared(due, before=base, rounds=rounds)
    # among a million
    _fill(many - few, stream="stream:", at="40 days")
    _cost(due)
    figures["ms_among_many"], figures["ratio_many"] = _compared(due, before=base, rounds=rounds)
    figures |= _under_snapshot(short=short)
    return figures


def _under_snapshot(*, short: bool) -> Figures:
    """The last claims of a long drain, with and without a report that holds an old snapshot."""
    count = 3_000 if short else 60_000
    found = {}
    for name in ("without", "under"):
        _empty()
        owe(count)
        _set_rate()
        with _old_snapshot() if name == "under" else _nothing():
            took = asyncio.run(_claim_all(count, give_back=False))
        found[name] = statistics.median(took[-len(took) // 10 :])
    return {
        "snapshot_rows": count,
        "ms_without_snapshot": found["without"],
        "ms_under_snapshot": found["under"],
        "ratio_snapshot": found["under"] / found["without"],
    }


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def lines(found: Figures) -> list[tuple[str, float | int, str]]:
    """For the table."""
    due = f"claim, {found['due']:,} due"
    return [
        (f"{due} among {found['few']:,}, ms", found["ms_among_few"], ""),
        (f"{due} among {found['many']:,}, ratio", found["ratio_many"], "<= 1.3"),
        (f"{due}, {found['behind']:,} behind a closed stream, ratio", found["ratio_behind"],
         "<= 1.3"),
        (f"claim after {found['snapshot_rows']:,} under an old snapshot, ratio",
         found["ratio_snapshot"], "<= 2"),
    ]  # fmt: skip
