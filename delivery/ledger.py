"""The queue as the sender sees it: claim, intend, record, release, rescue.

A few psycopg connections in autocommit, so that one commit need not wait for another; the SQL is in
queries.py, what it means in domain/. Nothing here knows Telegram.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from django.conf import settings
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row

from config import telemetry
from delivery import gate_queries, postgres, queries, rows
from delivery.domain import pacing
from delivery.domain.retry import MAX_DEATHS
from delivery.models import Chat
from delivery.rows import Entry, Held

Connection = AsyncConnection[dict[str, Any]]

BULK, REPLY = "bot", "bot:reply"
CONNECTIONS = 3  # of one sender at most: two commits and a claim at a time
LEASE_SECONDS = 60.0  # a call ends after 20 s, so this leaves time to record it
QUARANTINE = timedelta(minutes=15)
MARGIN = timedelta(milliseconds=20)  # from the claim to its first slot
CLOCK_TRIES = 5
#: A claim may begin where the last one ended; after so many seconds it looks from the very start,
#: so what another worker put off comes that much later at most, and only while more is due.
RESCAN_SECONDS = 5.0
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
BEGINNING = (LONG_AGO, LONG_AGO, 0)  # of the order of the queue: due_at, run_at, id
#: So many failures among the last tries of a sequence pause it; fewer say nothing.
PAUSE_FAILURES, PAUSE_WINDOW = 12, 50


@dataclass(kw_only=True)
class Ledger:
    """A worker's way to the queue. `open` first; `close` gives its advisory lock back."""

    simulated: datetime | None = None
    me: int = field(default_factory=lambda: secrets.randbelow(2**31 - 1) + 1)
    rate: float = 0.0
    _open: list[Connection] = field(default_factory=list)
    _idle: asyncio.LifoQueue[Connection] = field(default_factory=asyncio.LifoQueue)
    _offset: float = 0.0  # seconds of the database's clock above the loop's
    _began: float = 0.0
    _since: tuple[datetime, datetime, int] = BEGINNING
    _rescan_at: float = 0.0

    async def open(self) -> None:
        """Connect (again), take the lock that says "I live", and learn the database's clock."""
        await self.close()
        self._idle.put_nowait(await self._connect())
        self._began = self._began or _loop_time()
        await self.follow_clock()

    async def close(self) -> None:
        """Disconnect. Safe to call twice."""
        for db in self._open:
            await db.close()
        self._open.clear()
        self._idle = asyncio.LifoQueue()

    async def _connect(self) -> Connection:
        db: Connection = await AsyncConnection.connect(
            **postgres.parameters(), autocommit=True, row_factory=dict_row
        )
        self._open.append(db)
        async with postgres.answering():
            await db.execute(queries.HELLO, {"me": self.me})
        return db

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Connection]:
        """A connection of one's own for a while; another one is opened where all are busy."""
        most = CONNECTIONS if self.simulated is None else 1  # simulated time is the session's
        if self._idle.empty() and 0 < len(self._open) < most:
            db = await self._connect()
        else:
            if not self._open:
                raise psycopg.OperationalError("the ledger is not connected")
            db = await self._idle.get()
        idle = self._idle
        try:
            if db.closed:
                raise psycopg.OperationalError("the connection is gone")
            yield db
        finally:
            idle.put_nowait(db)

    async def follow_clock(self) -> None:
        """Measure the database's clock against the loop's: the quickest of some round trips."""
        best = float("inf")
        for _ in range(CLOCK_TRIES):
            before = _loop_time()
            row = await self._one(queries.CLOCK)
            took = _loop_time() - before
            if took < best:
                best, moment = took, row["clock_timestamp"].timestamp()
                self._offset = moment - (before + took / 2)

    def now(self) -> datetime:
        """The database's real clock."""
        return datetime.fromtimestamp(_loop_time() + self._offset, tz=UTC)

    def seconds_until(self, moment: datetime) -> float:
        """How long until a moment of the database's real clock; negative if it is over."""
        return moment.timestamp() - self._offset - _loop_time()

    async def claim(self, *, replies: bool, idle: bool = True) -> list[Held]:
        """Lease due deliveries and give each its slot; in one short transaction.

        `idle`: this worker holds nothing yet, so it may take one whose worker died.
        """
        await self._advance_simulation()
        if replies and not (await self._one(queries.A_REPLY_WAITS))["exists"]:
            return []
        key = REPLY if replies else BULK
        most = 20 if replies else pacing.MAX_BATCH
        async with self._session() as db, postgres.answering(), db.transaction():
            low = {"key": key, "low_water": pacing.HORIZON / 2}
            gate = await (await _ask(db, queries.LOCK_GATE, low)).fetchone()
            if gate is None or gate["closed_until"] is not None:
                return []
            if not replies:
                self.rate = gate["rate"]
            now = self.now()
            most = pacing.room(
                now=now, next_slot_at=gate["next_slot_at"], rate=gate["rate"], most=most
            )
            found = rows.company(
                await (_all(db, queries.READ_REPLIES) if replies else self._read_bulk(db)),
                idle=idle,
                replies=replies,
            )
            plan = pacing.plan(
                [rows.candidate(row, rate=gate["rate"], per_chat=_per_chat()) for row in found],
                most=most,
                now=now,
                base=max(gate["next_slot_at"], now + MARGIN),
                rate=gate["rate"],
            )
            if not replies:
                self._begin_there(found, granted={slot.delivery_id for slot in plan.slots})
            return await self._grant(db, plan, found=found, key=key)

    async def _read_bulk(self, db: Connection) -> list[dict[str, Any]]:
        if _loop_time() >= self._rescan_at:
            self._since, self._rescan_at = BEGINNING, _loop_time() + RESCAN_SECONDS
        found = await self._read_from(db, self._since)
        if len(found) < queries.MOST_READ and self._since > BEGINNING:
            self._since = BEGINNING
            return await self._read_from(db, self._since)
        return found

    async def _read_from(
        self, db: Connection, since: tuple[datetime, datetime, int]
    ) -> list[dict[str, Any]]:
        return await _all(
            db, queries.READ_BULK, {"due_at": since[0], "run_at": since[1], "id": since[2]}
        )

    def _begin_there(self, found: Sequence[dict[str, Any]], *, granted: set[int]) -> None:
        """The next claim begins with the first that this one leaves, if there are many."""
        places = {row["id"]: (row["due_at"], row["run_at"], row["id"]) for row in found}
        if len(found) < queries.MOST_READ:
            self._since = BEGINNING
            return
        left = (place for pk, place in places.items() if pk not in granted)
        self._since = min(left, default=max(places.values()))

    async def _grant(
        self, db: Connection, plan: pacing.Plan, *, found: Sequence[dict[str, Any]], key: str
    ) -> list[Held]:
        if not plan.slots and not plan.put_off:
            return []
        pause = {
            row["chat_id"]: rows.spacing(row["kind"], rate=self.rate, per_chat=_per_chat())
            for row in found
        }
        granted = await _all(
            db,
            queries.GRANT,
            {
                "ids": [slot.delivery_id for slot in plan.slots],
                "chats": [slot.chat_id for slot in plan.slots],
                "slots": [slot.at for slot in plan.slots],
                "free": [slot.at + pause[slot.chat_id] for slot in plan.slots],
                "off": [off.delivery_id for off in plan.put_off],
                "waits": [off.wait for off in plan.put_off],
                "next": plan.next_slot_at,
                "key": key,
                "me": str(self.me),
                "lease": _lease(),
            },
        )
        if key == REPLY and granted:
            await _ask(db, queries.PUSH_BULK, {"slots": len(granted)})
        fences = {row["id"]: row["fence"] for row in granted}
        return rows.leased(plan.slots, found=found, fences=fences)

    async def commit(
        self, *, results: Sequence[Entry] = (), intents: Sequence[Held] = ()
    ) -> tuple[list[str], list[Held]]:
        """Write what came of tries and what is about to be tried, in one statement and commit.

        Returns the states that were reached, and those of `intents` that are `sending` now: the
        caller writes to Telegram for these only. The rest is ended or put off.
        """
        await self._advance_simulation()
        statement = queries.commit(
            results=[rows.written(entry) for entry in results],
            intents=[{"id": held.id, "fence": held.fence} for held in intents],
            lease=_lease(),
        )
        with telemetry.span("delivery.commit", results=len(results), intents=len(intents)):
            found = await self._all(*statement)
        # By fence, too: who stood still past a lease may hold a delivery anew and as it was before.
        looked = {(row["id"], row["fence"]): row for row in found if row.get("verdict")}
        ended = await self._end([row for row in looked.values() if row["verdict"] in rows.ENDING])
        await self._put_off([row for row in looked.values() if row["verdict"] in rows.PUT_OFF])
        going = []
        for held in intents:
            row = looked.get((held.id, held.fence))
            if row and row["verdict"] == "go" and row["attempts"] is not None:
                held.attempts = row["attempts"]
                going.append(held)
        return [row["recorded"] for row in found if row.get("recorded")] + ended, going

    async def intend(self, batch: Sequence[Held]) -> list[Held]:
        """Commit the intent of what may still go; see `commit`."""
        return (await self.commit(intents=batch))[1]

    async def record(self, entries: Sequence[Entry]) -> list[str]:
        """Write what came of tries; see `commit`."""
        return (await self.commit(results=entries))[0]

    async def _end(self, refused: Sequence[dict[str, Any]]) -> list[str]:
        if not refused:
            return []
        ends = [rows.ending(row) for row in refused]
        statuses, reasons = [end.value for end, _ in ends], [str(reason) for _, reason in ends]
        said = {**rows.keys_of(refused), "statuses": statuses, "reasons": reasons}
        return await self._reached(queries.END_LEASED, said)

    async def _put_off(self, waiting: Sequence[dict[str, Any]]) -> None:
        if waiting:
            again = [rows.again_at(row) for row in waiting]
            await self._run(queries.RELEASE_LEASED, {**rows.keys_of(waiting), "ats": again})

    async def release(self, batch: Sequence[Held]) -> None:
        """Give back what was leased and not intended."""
        if batch:
            await self._run(
                queries.RELEASE_LEASED,
                {
                    "ids": [held.id for held in batch],
                    "fences": [held.fence for held in batch],
                    "ats": [None] * len(batch),
                },
            )

    async def tidy(self) -> list[str]:
        """Rescue what dead workers held, end what expired, settle old unknowns, raise the rate.

        Returns the states that deliveries reached by that.
        """
        await self._advance_simulation()
        await self.follow_clock()
        for ahead in await self._all(queries.CLOCK_WENT_BACK):
            await self._run(queries.LOOK_AGAIN, ahead)
        reached = await self._reached(queries.RESCUE_LEASED, {"most": MAX_DEATHS})
        reached += await self._reached(queries.RESCUE_SENDING)
        reached += await self._reached(queries.EXPIRE)
        await self._run(queries.SETTLE_UNKNOWN, {"quarantine": QUARANTINE})
        configured = {"configured": settings.TELEGRAM_SENDS_PER_SECOND}
        await self._run(gate_queries.RECOVER_RATE, configured)
        return reached

    async def soonest(self) -> float | None:
        """Seconds until a delivery that is due by plan may be claimed; None if there is none."""
        await self._advance_simulation()
        row = await self._maybe(queries.SOONEST)
        return None if row is None else max(0.0, row["greatest"].total_seconds())

    async def hold_bot(self, *, wait: timedelta) -> None:
        """A 429: everybody waits, and the rate falls once."""
        await self._run(
            gate_queries.HOLD_BOT,
            {"wait": wait * 1.05, "slower": pacing.SLOWER, "slowest": pacing.SLOWEST},
        )

    async def shut(self, *, key: str, reason: str, wait: timedelta | None) -> None:
        """Close one of the bot's gates: for `wait`, or until a person opens it."""
        await self._run(
            gate_queries.SHUT, {"key": key, "reason": reason, "by": "sender", "wait": wait}
        )

    async def hold_stream(self, held: Held, *, refused: bool, said: str) -> str:
        """Hold a sequence whose words are `refused`, or of which too much fails (P17).

        Returns why, where this call closed it; else "".
        """
        row = await self._maybe(
            gate_queries.HOLD_STREAM,
            {
                "id": held.id,
                "refused": refused,
                "said": said,
                "window": PAUSE_WINDOW,
                "most": PAUSE_FAILURES,
            },
        )
        return f"{row['key']}: {row['reason']}" if row else ""

    async def may_probe(self, *, key: str, wait: timedelta) -> bool:
        """Whether a sender shut a gate, or probed behind it in vain, at least `wait` ago."""
        row = await self._one(gate_queries.MAY_PROBE, {"key": key, "wait": wait})
        return bool(row["exists"])

    async def reopen(self, *, key: str) -> None:
        """All is well again behind `key`."""
        await self._run(gate_queries.OPEN, {"key": key})

    async def chat_is(self, held: Held, *, reachability: str, reason: str) -> None:
        """Telegram says whether it lets us write to a chat; what is owed to it is withdrawn."""
        now = {"chat": held.chat, "reachability": reachability}
        await self._run(gate_queries.SET_REACHABILITY, {**now, "id": held.id, "fence": held.fence})
        await self._run(gate_queries.CANCEL_CHAT, {**now, "reason": reason})

    async def chat_moved(self, held: Held, *, to: int) -> None:
        """A group has a new id."""
        new, key = Chat.sealed_id(to)
        await self._run(gate_queries.MIGRATE_CHAT, {"chat": held.chat, "new": new, "key": key})

    async def _advance_simulation(self) -> None:
        # Simulated time runs while we work, else what pacing puts off would never come.
        if self.simulated is not None:
            moment = self.simulated + timedelta(seconds=_loop_time() - self._began)
            await self._run(queries.SIMULATE, {"at": moment.isoformat()})

    async def _run(self, sql: str, values: dict[str, Any] | None = None) -> None:
        async with self._session() as db, postgres.answering():
            await _ask(db, sql, values)

    async def _all(self, sql: str, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        async with self._session() as db, postgres.answering():
            return await _all(db, sql, values)

    async def _reached(self, sql: str, values: dict[str, Any] | None = None) -> list[str]:
        return [row["status"] for row in await self._all(sql, values)]

    async def _maybe(self, sql: str, values: dict[str, Any] | None = None) -> dict[str, Any] | None:
        async with self._session() as db, postgres.answering():
            return await (await _ask(db, sql, values)).fetchone()

    async def _one(self, sql: str, values: dict[str, Any] | None = None) -> dict[str, Any]:
        row = await self._maybe(sql, values)
        if row is None:
            raise LookupError("the query returned no row")
        return row


async def _ask(
    db: Connection, sql: str, values: dict[str, Any] | None = None
) -> AsyncCursor[dict[str, Any]]:
    return await db.execute(postgres.packed(sql), values)


async def _all(
    db: Connection, sql: str, values: dict[str, Any] | None = None
) -> list[dict[str, Any]]:
    return await (await _ask(db, sql, values)).fetchall()


def _lease() -> timedelta:
    return timedelta(seconds=getattr(settings, "DELIVERY_LEASE_SECONDS", LEASE_SECONDS))


def _per_chat() -> float:
    return settings.TELEGRAM_SENDS_PER_SECOND_PER_CHAT


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
