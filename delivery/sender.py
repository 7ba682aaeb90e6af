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
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import psycopg
from django.conf import settings

from delivery.domain import pacing
from delivery.domain.outcome import Consequence, Kind, Verdict, judge
from delivery.domain.reasons import Reason
from delivery.domain.results import MISSED, result_of
from delivery.domain.states import Status
from delivery.gateways import Call, Gateway
from delivery.ledger import Ledger
from delivery.rows import Entry, Held

log = logging.getLogger(__name__)

IN_FLIGHT = 8
LEAD = 0.2  # seconds: intents are committed at most this long before their slots
RECORD_EVERY = 0.1  # seconds: results wait this long for company,
RECORD_MOST = 6  # or until there are so many
LOOK_EVERY = 0.25  # seconds: how often an idle sender looks for work
TIDY_EVERY = 2.0
CALL_SECONDS = 20.0  # a call ends after this in all
SHORT_WAIT = 5.0  # pacing and a short 429 are awaited; a retry later than this is not
BREAKER_FAILURES, BREAKER_WINDOW = 5, 30.0
BREAKER_WAIT = timedelta(seconds=15)
BREAKER, TOKEN = "bot:breaker", "bot:token"
RECONNECT_SECONDS = 20.0
#: When calls of this process came to nothing: an outage is longer than a drain.
failures: deque[float] = deque(maxlen=BREAKER_FAILURES)


@dataclass(kw_only=True)
class Sender:
    """One drain of the queue. `counts` grows by end state as results take effect."""

    gateway: Gateway
    until_empty: bool = False
    budget_seconds: float = 20.0
    simulated: datetime | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """The working state, all of this one loop."""
        self.ledger = Ledger(simulated=self.simulated)
        self._held: list[tuple[datetime, int, Held]] = []
        self._order = itertools.count()
        self._calls: set[asyncio.Task[None]] = set()
        self._results: list[Entry] = []
        self._oldest_result = 0.0
        self._woken = asyncio.Event()
        self._look_at = self._tidy_at = 0.0
        self._dry = False  # the last look found nothing

    async def run(self) -> Counter[str]:
        """Work until there is nothing to claim, the budget is used, or `stopping` is set.

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
        if self.stopping.is_set():
            return True
        if not self.until_empty and _now() - began > self.budget_seconds:
            return True
        idle = not (self._held or self._calls or self._results)
        return idle and self._dry

    async def _turn(self) -> None:
        if _now() >= self._tidy_at:
            self._tidy_at = _now() + TIDY_EVERY
            await self.ledger.tidy()
            await self._probe()
        await self._claim()
        await self._start()
        if self._results and (
            _now() - self._oldest_result >= RECORD_EVERY
            or len(self._results) >= RECORD_MOST
            or not self._calls
        ):
            await self._record()
        await self._rest()

    @property
    def _open(self) -> int:
        return len(self._calls) + len(self._results)

    async def _claim(self) -> None:
        """Take replies first, then bulk while little is held."""
        if _now() < self._look_at and len(self._held) >= 2:
            return
        if any(item[2].deaths for item in self._held):
            return  # it goes alone
        replies = await self.ledger.claim(replies=True, idle=not self._held)
        bulk = []
        if len(self._held) < IN_FLIGHT * 2 and not any(held.deaths for held in replies):
            bulk = await self.ledger.claim(replies=False, idle=not (self._held or replies))
        for held in (*replies, *bulk):
            heapq.heappush(self._held, (held.slot_at, next(self._order), held))
        self._look_at = _now() + LOOK_EVERY
        if self._held or self._calls or self._results:
            self._dry = False
        else:
            await self._await_pacing()

    async def _await_pacing(self) -> None:
        """Nothing to claim: say so, unless pacing put something off for a moment."""
        wait = await self.ledger.soonest()
        if wait is None or wait > SHORT_WAIT:
            self._dry = True
        else:
            await self._sleep(max(wait, 0.02))

    async def _start(self) -> None:
        """Commit the intents of what is about to go, and start its calls."""
        batch: list[Held] = []
        late: list[Held] = []
        while self._held and self._open + len(batch) < IN_FLIGHT:
            wait = self.ledger.seconds_until(self._held[0][0])
            if wait > LEAD and not self._is_unpaced:
                break
            held = heapq.heappop(self._held)[2]
            (late if self._is_late(held) else batch).append(held)
        await self.ledger.release(late)
        if batch:
            for held in await self.ledger.intend(batch):
                self._calls.add(asyncio.create_task(self._call(held)))

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
                self._result(held, Verdict(kind=Kind.NOT_SENT), call=None)
            elif not may_call(held.telegram_id):
                self._result(held, Verdict(kind=Kind.SENT), call=None, diverted=True)
            else:
                call = await self._send(held)
                verdict = judge(started=call.started, status=call.status, body=call.body)
                self._result(held, verdict, call=call)
        finally:
            self._calls.discard(_current_task())
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

    async def _record(self) -> None:
        """Write results, then what they ask for. A failure keeps them for the next turn."""
        entries = self._results[:]
        took_effect = await self.ledger.record(entries)
        del self._results[: len(entries)]
        self._oldest_result = _now()
        self.counts.update(s for s in took_effect if s != Status.PENDING)
        for entry in entries:
            await self._follow(entry)

    async def _follow(self, entry: Entry) -> None:
        verdict = entry.verdict
        if verdict.consequence is Consequence.HOLD_BOT and verdict.retry_after is not None:
            log.warning("sender.held_by_telegram", extra={"seconds": str(verdict.retry_after)})
            await self.ledger.hold_bot(wait=verdict.retry_after)
        elif verdict.consequence is Consequence.STOP_BOT:
            log.error("sender.token_refused")
            reason = "Telegram refuses the bot's token; set BOT_TOKEN and resume deliver"
            await self.ledger.shut(key=TOKEN, reason=reason, wait=None)
        elif verdict.consequence is Consequence.MIGRATE and verdict.migrate_to is not None:
            await self.ledger.chat_moved(entry.held, to=verdict.migrate_to)
        elif verdict.reachability:
            await self.ledger.chat_is(
                entry.held, reachability=verdict.reachability, reason=str(verdict.reason)
            )
        await self._count_failure(entry)
        if entry.result.status is Status.FAILED:
            refused = verdict.reason is Reason.CONTENT_REFUSED
            why = await self.ledger.hold_stream(
                entry.held, refused=refused, said=verdict.description
            )
            if why:
                log.error("sender.stream_held", extra={"why": why})

    async def _count_failure(self, entry: Entry) -> None:
        """Five calls that came to nothing, lately or in a row: leave Telegram alone."""
        if entry.diverted or entry.result is MISSED:
            return
        silent = entry.verdict.is_silence
        if silent:
            failures.append(_now())
        elif failures and failures[0] < _now() - BREAKER_WINDOW:
            failures.popleft()
        if silent and len(failures) == BREAKER_FAILURES:
            log.warning("sender.breaker_open")
            failures.clear()
            await self._shut_breaker()

    async def _shut_breaker(self) -> None:
        await self.ledger.shut(key=BREAKER, reason="Telegram does not answer", wait=None)

    async def _probe(self) -> None:
        """Behind the breaker, ask getMe now and then: no learner's message is tried for it."""
        if not await self.ledger.may_probe(key=BREAKER, wait=BREAKER_WAIT):
            return
        call = await self.gateway.get_me()
        if call.status == 200 and call.body and call.body.get("ok") is True:
            log.info("sender.breaker_closed")
            await self.ledger.reopen(key=BREAKER)
        else:
            await self._shut_breaker()

    async def _rest(self) -> None:
        """Wait for the next thing to do: a slot, a call's end, results that are old enough."""
        if self._dry and not (self._held or self._calls or self._results):
            return
        waits = [LOOK_EVERY]
        if self._held and self._open < IN_FLIGHT:
            waits.append(self.ledger.seconds_until(self._held[0][0]) - LEAD / 2)
        if self._results:
            waits.append(self._oldest_result + RECORD_EVERY - _now())
        await self._sleep(max(0.0, min(waits)))

    async def _sleep(self, seconds: float) -> None:
        self._woken.clear()
        stop = asyncio.ensure_future(self.stopping.wait())
        woken = asyncio.ensure_future(self._woken.wait())
        await asyncio.wait({stop, woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (stop, woken):
            task.cancel()

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
                    await self._record()
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
                loop.add_signal_handler(name, sender.stopping.set)
        watcher = asyncio.create_task(_watch(stopping, sender.stopping)) if stopping else None
        try:
            return await sender.run()
        finally:
            if watcher:
                watcher.cancel()

    return asyncio.run(work())


async def _watch(outside: threading.Event, inside: asyncio.Event) -> None:
    while not outside.is_set():
        await asyncio.sleep(0.1)
    inside.set()


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task


def _now() -> float:
    return asyncio.get_running_loop().time()
