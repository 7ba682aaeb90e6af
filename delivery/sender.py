"""The sender: claims, waits for slots, commits intents, calls Telegram, records what came of it.

One loop, one gateway. While one commit is awaited another may begin, and a claim beside them; a
turn only says what is worth beginning. At most IN_FLIGHT deliveries are on the wire or not yet
recorded, so a death leaves at most as many `unknown`. Which delivery may go when is decided by the
claim (queries.py, domain/pacing.py), what an answer means by domain/outcome.py.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import signal
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg

from delivery.calls import Calls
from delivery.consequences import Consequences
from delivery.domain.states import Status
from delivery.gateways import CALL_SECONDS, Gateway
from delivery.ledger import Ledger
from delivery.rows import Held

log = logging.getLogger(__name__)

IN_FLIGHT = 8
LEAD = 0.2  # seconds: intents are committed at most this long before their slots
COMMITS = 2  # at a time
COMPANY = 6  # so many results, or free places, are worth a commit; fewer wait
RECORD_EVERY = 0.1  # seconds: for this long,
ALONE_AFTER = 0.02  # or so long after the last commit, where nobody waits for a slot
LOOK_EVERY = 0.25  # seconds: how often an idle sender looks for work
NOTHING_CAME = 0.05  # seconds until the next claim after one in vain
TIDY_EVERY = 2.0
SHORT_WAIT = 5.0  # pacing and a short 429 are awaited; a retry later than this is not
RECONNECT_SECONDS = 20.0


@dataclass(kw_only=True)
class Sender:
    """One drain of the queue. `counts` grows by end state, as it ends deliveries, tried or not."""

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
        self._calls = Calls(gateway=self.gateway, ledger=self.ledger, ended=self._hear_end)
        self._work: set[asyncio.Task[None]] = set()  # commits and a claim
        self._commits: dict[int, int] = {}  # number → how many it keeps open
        self._is_claiming = False
        self._troubles = 0  # commits of results whose consequences are not known yet
        self._woken = asyncio.Event()
        self._stopping = False
        self._look_at = self._claim_at = self._tidy_at = self._committed_at = 0.0
        self._dry = False  # the last look found nothing
        self._claims_until = float("inf")

    async def run(self) -> Counter[str]:
        """Work until there is nothing to claim, the budget is used, or it is told to stop.

        A used budget ends the claiming: what is held goes out at its slots. At the end nothing is
        held or in flight any more: leases are given back and every result is recorded, so a
        graceful stop leaves no unknowns.
        """
        if not self.until_empty:
            self._claims_until = _now() + self.budget_seconds
        await self.gateway.open()
        try:
            await self.ledger.open()
            while not self._is_over():
                try:
                    await self._turn()
                except psycopg.OperationalError:
                    await self._reconnect()
            await self._finish()
        finally:
            await self.ledger.close()
            await self.gateway.close()
        return self.counts

    def _is_over(self) -> bool:
        if self._stopping:
            return True
        if self._is_spent:
            # A slot that is given back is lost to everybody, so what is held goes out first.
            return not self._held or _now() > self._claims_until + SHORT_WAIT
        return self._is_idle and not self._work and self._dry

    @property
    def _is_spent(self) -> bool:
        """The budget is used: of bulk nothing more is claimed."""
        return _now() > self._claims_until

    @property
    def _is_idle(self) -> bool:
        return not (self._held or self._calls.running or self._calls.results or self._commits)

    async def _turn(self) -> None:
        self._raise_of_work()
        if _now() >= self._tidy_at:
            self._tidy_at = _now() + TIDY_EVERY
            self._count(await self.ledger.tidy())
            await self._consequences.probe()
        if not self._is_claiming and self._claims_in <= 0:
            self._is_claiming = True
            self._begin(self._claim(looks=_now() >= self._look_at))
        await self._give_back_late()
        if len(self._commits) < COMMITS and (self._is_worth_recording or self._is_worth_intents):
            self._begin(self._commit())
            await asyncio.sleep(0)  # it takes its part before the next is thought of
        else:
            await self._rest()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._work.add(task)
        task.add_done_callback(lambda _: self._woken.set())

    def _raise_of_work(self) -> None:
        """Forget the work that is done. Raises what it raised."""
        for task in [task for task in self._work if task.done()]:
            self._work.discard(task)
            task.result()

    def stop(self) -> None:
        """Take nothing new, end what has begun. From the loop's own thread."""
        self._stopping = True
        self._woken.set()

    @property
    def _free(self) -> int:
        """How many calls may be begun: what came of others is recorded in the same commit."""
        return IN_FLIGHT - len(self._calls.running) - sum(self._commits.values())

    @property
    def _is_worth_intents(self) -> bool:
        if not self._held or self._free <= 0 or self._is_troubled:
            return False
        if self._calls.is_unpaced:
            return self._free >= COMPANY or _now() - self._committed_at >= ALONE_AFTER
        return self.ledger.seconds_until(self._held[0][0]) <= LEAD / 2

    @property
    def _is_worth_recording(self) -> bool:
        calls = self._calls
        return bool(calls.results) and (
            len(calls.results) >= COMPANY
            or not (calls.running or self._commits)
            or self._is_troubled
            or _now() - calls.oldest >= RECORD_EVERY
        )

    @property
    def _is_troubled(self) -> bool:
        """Something was not sent; what follows from it may stop the next ones."""
        return bool(self._troubles) or self._calls.is_troubled

    @property
    def _claims_in(self) -> float:
        """Seconds until it is worth claiming: sooner while little is held."""
        little = 0 if self._is_spent else IN_FLIGHT if self._calls.is_unpaced else 2
        at = self._claim_at if len(self._held) < little else max(self._look_at, self._claim_at)
        return at - _now()

    async def _claim(self, *, looks: bool) -> None:
        """Take replies first, if it is time to look for them, then bulk while little is held."""
        try:
            if looks:
                self._look_at = _now() + LOOK_EVERY
            if any(item[2].deaths for item in self._held):
                self._claim_at = _now() + NOTHING_CAME
                return  # it goes alone
            replies = await self.ledger.claim(replies=True, idle=not self._held) if looks else []
            bulk = []
            alone = any(held.deaths for held in replies)
            if len(self._held) < IN_FLIGHT * 2 and not alone and not self._is_spent:
                bulk = await self.ledger.claim(replies=False, idle=not (self._held or replies))
            for held in (*replies, *bulk):
                heapq.heappush(self._held, (held.slot_at, next(self._order), held))
            if not (replies or bulk):
                self._claim_at = _now() + NOTHING_CAME
            await self._note_whether_dry(looked=looks)
        finally:
            self._is_claiming = False

    async def _note_whether_dry(self, *, looked: bool) -> None:
        """Nothing to claim: that is all, unless pacing put something off for a moment."""
        self._dry = False
        if not self._is_idle:
            return
        if not looked:
            self._look_at = 0.0  # before it is called a day, replies are looked for, too
            return
        wait = await self.ledger.soonest()
        self._dry = wait is None or wait > SHORT_WAIT
        self._claim_at = _now() + max(wait or 0.0, 0.02)

    async def _give_back_late(self) -> None:
        """What missed its slot gets a new one."""
        late: list[Held] = []
        while self._held and self._calls.is_late(self._held[0][2]):
            late.append(heapq.heappop(self._held)[2])
        await self.ledger.release(late)

    def _due(self) -> list[Held]:
        """Take from what is held as much as may begin now."""
        batch: list[Held] = []
        while self._held and len(batch) < self._free:
            if not self._calls.is_unpaced and self.ledger.seconds_until(self._held[0][0]) > LEAD:
                break
            batch.append(heapq.heappop(self._held)[2])
        return batch

    async def _commit(self) -> None:
        """Record what came of calls and commit the next intents, together; then begin those.

        If the database goes away meanwhile, what came is kept for another commit, and since nothing
        was written to Telegram for the intents, they go back even if they were committed.
        """
        is_trouble = self._calls.is_troubled
        intents = self._due() if self._is_worth_intents else []
        entries, number = self._calls.take(), next(self._order)
        self._committed_at = _now()
        self._commits[number] = max(len(entries), len(intents))
        self._troubles += is_trouble
        try:
            reached, going = await self.ledger.commit(results=entries, intents=intents)
            for held in going:
                self._calls.begin(held)
            self._count(reached)
            del self._commits[number]
            for entry in entries:
                await self._consequences.follow(entry)
        except psycopg.OperationalError:
            if self._commits.pop(number, None) is not None:
                self._calls.give_back(entries, never_begun=intents)
            raise
        finally:
            self._troubles -= is_trouble

    def _count(self, reached: Sequence[str]) -> None:
        self.counts.update(status for status in reached if status != Status.PENDING)

    def _hear_end(self) -> None:
        """A call ended: wake up where that makes something worth doing."""
        if len(self._commits) < COMMITS and (self._is_worth_recording or self._is_worth_intents):
            self._woken.set()

    async def _rest(self) -> None:
        """Wait for the next thing to do: a slot, a call's end, results that are old enough."""
        if self._is_idle and self._dry and not self._work:
            return
        waits = [LOOK_EVERY]
        if not self._is_claiming:
            waits.append(self._claims_in)
        if len(self._commits) < COMMITS:
            if self._held and self._free > 0 and not self._is_troubled:
                slot = self.ledger.seconds_until(self._held[0][0]) - LEAD / 2
                company = self._committed_at + ALONE_AFTER - _now()
                waits.append(company if self._calls.is_unpaced else slot)
            if self._calls.results or self._calls.running:
                since = self._calls.oldest if self._calls.results else _now()
                waits.append(since + RECORD_EVERY - _now())
        await self._sleep(max(0.0, min(waits)))

    async def _sleep(self, seconds: float) -> None:
        alarm = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        await self._woken.wait()
        alarm.cancel()
        self._woken.clear()

    async def _finish(self) -> None:
        """Give back what is held, let what is on the wire come to its end, record it."""
        deadline = _now() + CALL_SECONDS
        while not (self._is_idle and not self._work) and _now() < deadline:
            held = [item[2] for item in self._held]
            self._held.clear()
            try:
                self._raise_of_work()
                await self.ledger.release(held)  # if that fails, their leases end by themselves
                if self._calls.results and not self._commits:
                    await self._commit()
            except psycopg.OperationalError:
                await self._reconnect()
            if waited := self._calls.running | self._work:
                await asyncio.wait(waited, timeout=1.0, return_when="FIRST_COMPLETED")

    async def _reconnect(self) -> None:
        """The database went away: what is on the wire goes on, its results wait for it."""
        log.warning("sender.database_lost")
        await asyncio.gather(*self._work, return_exceptions=True)
        self._work.clear()
        deadline = _now() + RECONNECT_SECONDS
        while True:
            try:
                return await self.ledger.open()
            except psycopg.OperationalError:
                if _now() > deadline:
                    raise
                await asyncio.sleep(0.2)


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


def _now() -> float:
    return asyncio.get_running_loop().time()
