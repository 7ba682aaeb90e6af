"""The sender: claims, waits for slots, commits intents, calls Telegram, records what came of it.

One loop, one gateway, one connection. At most IN_FLIGHT deliveries are on the wire or not yet
recorded, so a death leaves at most as many `unknown`. Which delivery may go when is decided by the
claim (queries.py, domain/pacing.py), what an answer means by domain/outcome.py.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

import psycopg
from django.conf import settings

from delivery.consequences import Consequences
from delivery.domain import pacing
from delivery.domain.outcome import Kind, Verdict, judge
from delivery.domain.results import MISSED, result_of
from delivery.domain.states import Status
from delivery.gateways import Call, Gateway
from delivery.ledger import Ledger
from delivery.rows import Entry, Held

log = logging.getLogger(__name__)

IN_FLIGHT = 8
LEAD = 0.2  # seconds: intents are committed at most this long before their slots
COMPANY = 4  # so many results, or free places, are worth a commit; fewer wait
RECORD_EVERY = 0.1  # seconds: for this long,
OVERDUE = 0.02  # or a delivery until it is so late
LOOK_EVERY = 0.25  # seconds: how often an idle sender looks for work
TIDY_EVERY = 2.0
CALL_SECONDS = 20.0  # a call ends after this in all
SHORT_WAIT = 5.0  # pacing and a short 429 are awaited; a retry later than this is not
RECONNECT_SECONDS = 20.0
_NEVER_WRITTEN = Verdict(kind=Kind.NOT_SENT)


@dataclass(kw_only=True)
class Sender:
    """One drain of the queue. `counts` grows by end state as results take effect."""

    gateway: Gateway
    until_empty: bool = False
    budget_seconds: float = 20.0
    simulated: datetime | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """The working state, all of this one loop."""
        self.ledger = Ledger(simulated=self.simulated)
        self._consequences = Consequences(ledger=self.ledger, gateway=self.gateway)
        self._held: list[tuple[datetime, int, Held]] = []
        self._order = itertools.count()
        self._calls: set[asyncio.Task[None]] = set()
        self._results: list[Entry] = []
        self._oldest_result = 0.0
        self._woken = asyncio.Event()
        self._stopping = False
        self._look_at = self._tidy_at = 0.0
        self._dry = False  # the last look found nothing

    async def run(self) -> Counter[str]:
        """Work until there is nothing to claim, the budget is used, or it is told to stop.

        Then nothing is held or in flight any more: leases are given back and every result is
        recorded, so a graceful stop leaves no unknowns.
        """
        began = _now()
        await self.gateway.open()
        try:
            await self.ledger.open()
            while not self._is_over(began):
                try:
                    await self._turn()
                except psycopg.OperationalError:
                    await self._reconnect()
            await self._finish()
        finally:
            await self.ledger.close()
            await self.gateway.close()
        return self.counts

    def _is_over(self, began: float) -> bool:
        if self._stopping:
            return True
        if not self.until_empty and _now() - began > self.budget_seconds:
            return True
        idle = not (self._held or self._calls or self._results)
        return idle and self._dry

    async def _turn(self) -> None:
        if _now() >= self._tidy_at:
            self._tidy_at = _now() + TIDY_EVERY
            await self.ledger.tidy()
            await self._consequences.probe()
        await self._claim()
        if any(entry.verdict.kind is not Kind.SENT for entry in self._results):
            await self._commit([])  # what follows from it may stop the next ones
        await self._give_back_late()
        intents = self._due() if self._is_worth_intents else []
        if intents or self._is_worth_recording:
            await self._commit(intents)
        await self._rest()

    def stop(self) -> None:
        """Take nothing new, end what has begun. From the loop's own thread."""
        self._stopping = True
        self._woken.set()

    @property
    def _free(self) -> int:
        """How many calls may be begun: what came of others is recorded in the same commit."""
        return IN_FLIGHT - len(self._calls)

    @property
    def _is_worth_intents(self) -> bool:
        if not self._held or not self._free:
            return False
        wait = self.ledger.seconds_until(self._held[0][0])
        if self._is_unpaced:
            return self._free >= COMPANY or wait < -OVERDUE
        return wait <= LEAD / 2

    @property
    def _is_worth_recording(self) -> bool:
        return bool(self._results) and (
            len(self._results) >= COMPANY
            or not self._calls
            or _now() - self._oldest_result >= RECORD_EVERY
        )

    async def _claim(self) -> None:
        """Take replies first, four times a second, then bulk while little is held."""
        looks = _now() >= self._look_at
        if looks:
            self._look_at = _now() + LOOK_EVERY
        elif len(self._held) >= 2:
            return
        if any(item[2].deaths for item in self._held):
            return  # it goes alone
        replies = await self.ledger.claim(replies=True, idle=not self._held) if looks else []
        bulk = []
        if len(self._held) < IN_FLIGHT * 2 and not any(held.deaths for held in replies):
            bulk = await self.ledger.claim(replies=False, idle=not (self._held or replies))
        for held in (*replies, *bulk):
            heapq.heappush(self._held, (held.slot_at, next(self._order), held))
        if self._held or self._calls or self._results:
            self._dry = False
        elif looks:
            await self._await_pacing()
        else:
            self._look_at = 0.0  # before it is called a day, replies are looked for, too

    async def _await_pacing(self) -> None:
        """Nothing to claim: say so, unless pacing put something off for a moment."""
        wait = await self.ledger.soonest()
        if wait is None or wait > SHORT_WAIT:
            self._dry = True
        else:
            await self._sleep(max(wait, 0.02))

    async def _give_back_late(self) -> None:
        """What missed its slot gets a new one."""
        late: list[Held] = []
        while self._held and self._is_late(self._held[0][2]):
            late.append(heapq.heappop(self._held)[2])
        await self.ledger.release(late)

    def _due(self) -> list[Held]:
        """Take from what is held as much as may begin now."""
        batch: list[Held] = []
        while self._held and len(batch) < self._free:
            if not self._is_unpaced and self.ledger.seconds_until(self._held[0][0]) > LEAD:
                break
            batch.append(heapq.heappop(self._held)[2])
        return batch

    async def _commit(self, intents: list[Held]) -> None:
        """Record what came of calls and commit the next intents, together; then begin those.

        If the database goes away meanwhile, what came is kept for the next turn, and since nothing
        was written to Telegram for the intents, they go back even if they were committed.
        """
        entries = self._results[:]
        try:
            took_effect, going = await self.ledger.commit(results=entries, intents=intents)
        except psycopg.OperationalError:
            for held in intents:
                self._result(held, _NEVER_WRITTEN, call=None)
            raise
        del self._results[: len(entries)]
        self._oldest_result = _now()
        for held in going:
            self._calls.add(asyncio.create_task(self._call(held)))
        self.counts.update(s for s in took_effect if s != Status.PENDING)
        for entry in entries:
            await self._consequences.follow(entry)

    @property
    def _is_unpaced(self) -> bool:
        return self.ledger.rate >= pacing.UNPACED_RATE

    def _is_late(self, held: Held) -> bool:
        allowed = pacing.allowed_lateness(self.ledger.rate)
        if allowed is None:
            return False
        return self.ledger.seconds_until(held.slot_at) < -allowed.total_seconds()

    async def _call(self, held: Held) -> None:
        """One call: wait for the slot, look once more at the clock, write, say what came."""
        try:
            if not self._is_unpaced:
                await asyncio.sleep(max(0.0, self.ledger.seconds_until(held.slot_at)))
            if self._is_late(held):
                self._result(held, _NEVER_WRITTEN, call=None)
            elif not may_call(held.telegram_id):
                self._result(held, Verdict(kind=Kind.SENT), call=None, diverted=True)
            else:
                call = await self._send(held)
                verdict = judge(started=call.started, status=call.status, body=call.body)
                self._result(held, verdict, call=call)
        finally:
            self._calls.discard(_current_task())
            if not self._calls or len(self._results) == 1 or self._free >= COMPANY:
                self._woken.set()

    async def _send(self, held: Held) -> Call:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                return await self.gateway.send(
                    chat_id=held.telegram_id,
                    text=held.text,
                    buttons=[[(b[0], b[1]) for b in row] for row in held.buttons],
                    delivery_id=held.id,
                )
        except Exception as error:
            # A gateway does not raise; if it does all the same, a byte may have gone out.
            if not isinstance(error, TimeoutError):
                log.exception("sender.gateway_raised", extra={"delivery_id": held.id})
            return Call(started=True, cause=type(error).__name__)

    def _result(
        self, held: Held, verdict: Verdict, *, call: Call | None, diverted: bool = False
    ) -> None:
        if call is None and not diverted:
            result = MISSED
        else:
            result = result_of(verdict, attempts=held.attempts, fraction=random.random())
        if not self._results:
            self._oldest_result = _now()
        self._results.append(
            Entry(
                held=held,
                result=result,
                verdict=verdict,
                outcome=verdict.kind.value,
                http_status=call.status if call else None,
                diverted=diverted,
            )
        )

    async def _rest(self) -> None:
        """Wait for the next thing to do: a slot, a call's end, results that are old enough."""
        if self._dry and not (self._held or self._calls or self._results):
            return
        waits = [LOOK_EVERY, self._look_at - _now()]
        if self._held and self._free:
            wait = self.ledger.seconds_until(self._held[0][0])
            waits.append(wait + OVERDUE if self._is_unpaced else wait - LEAD / 2)
        if self._results:
            waits.append(self._oldest_result + RECORD_EVERY - _now())
        await self._sleep(max(0.0, min(waits)))

    async def _sleep(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()

    async def _finish(self) -> None:
        """Give back what is held, let what is on the wire come to its end, record it."""
        held = [item[2] for item in self._held]
        self._held.clear()
        with suppress(psycopg.OperationalError):  # their leases end by themselves
            await self.ledger.release(held)
        deadline = _now() + CALL_SECONDS
        while (self._calls or self._results) and _now() < deadline:
            if self._calls:
                await asyncio.wait(self._calls, timeout=1.0, return_when="FIRST_COMPLETED")
            if self._results:
                try:
                    await self._commit([])
                except psycopg.OperationalError:
                    await self._reconnect()

    async def _reconnect(self) -> None:
        """The database went away: what is on the wire goes on, its results wait for it."""
        log.warning("sender.database_lost")
        deadline = _now() + RECONNECT_SECONDS
        while True:
            try:
                return await self.ledger.open()
            except psycopg.OperationalError:
                if _now() > deadline:
                    raise
                await asyncio.sleep(0.2)


def may_call(telegram_id: int) -> bool:
    """Whether this environment may call Telegram for a chat: the guard at the one door (S06).

    Outside production only allow-listed chats are ever called; all else is recorded as diverted,
    which is the sandbox inbox. Without a BOT_TOKEN the sandbox takes everybody.
    """
    if settings.ENVIRONMENT == "production" or not settings.BOT_TOKEN:
        return True
    allowed = settings.STAGING_ALLOWED_CHATS
    return allowed is None or telegram_id in allowed


def drain(
    gateway: Callable[[], Gateway],
    *,
    until_empty: bool = False,
    budget_seconds: float = 20.0,
    simulated: datetime | None = None,
    stopping: threading.Event | None = None,
    catch_signals: bool = False,
) -> Counter[str]:
    """Work off what is due, in this thread; return how many ended in which state.

    `stopping` ends it early from another thread, `catch_signals` lets SIGTERM and SIGINT do so
    (main thread only). Any number of processes may do this at once.
    """

    async def work() -> Counter[str]:
        sender = Sender(
            gateway=gateway(),
            until_empty=until_empty,
            budget_seconds=budget_seconds,
            simulated=simulated,
        )
        loop = asyncio.get_running_loop()
        if catch_signals:
            for name in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(name, sender.stop)
        watcher = asyncio.create_task(_watch(stopping, sender)) if stopping else None
        try:
            return await sender.run()
        finally:
            if watcher:
                watcher.cancel()

    return asyncio.run(work())


async def _watch(outside: threading.Event, sender: Sender) -> None:
    while not outside.is_set():
        await asyncio.sleep(0.1)
    sender.stop()


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _now() -> float:
    return asyncio.get_running_loop().time()
