"""What is on the wire, and what came of it and is not recorded yet."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from django.conf import settings

from config import telemetry
from delivery.domain import pacing
from delivery.domain.outcome import Kind, Verdict, judge
from delivery.domain.results import MISSED, result_of
from delivery.gateways import Call, Gateway
from delivery.ledger import Ledger
from delivery.rows import Entry, Held

log = logging.getLogger(__name__)

_NEVER_WRITTEN = Verdict(kind=Kind.NOT_SENT)


@dataclass(kw_only=True)
class Calls:
    """Of one sender, in its loop. `ended` is told after each call."""

    gateway: Gateway
    ledger: Ledger
    ended: Callable[[], None]
    running: set[asyncio.Task[None]] = field(default_factory=set)
    results: list[Entry] = field(default_factory=list)
    oldest: float = 0.0  # when the first of the results came, by the loop's clock

    @property
    def is_troubled(self) -> bool:
        """Something was not sent; what follows from it may stop the next ones."""
        return any(entry.verdict.kind is not Kind.SENT for entry in self.results)

    @property
    def is_unpaced(self) -> bool:
        """Nobody waits for a slot, and none is ever missed."""
        return self.ledger.rate >= pacing.UNPACED_RATE

    def is_late(self, held: Held) -> bool:
        """Whether its slot is over, or far ahead of a clock put back: it needs a new one."""
        allowed = pacing.allowed_lateness(self.ledger.rate)
        if allowed is None:
            return False
        ahead = self.ledger.seconds_until(held.slot_at)
        return not -allowed.total_seconds() <= ahead <= pacing.CLOCK_WENT_BACK.total_seconds()

    def begin(self, held: Held) -> None:
        """Call in the background. The intent is committed."""
        self.running.add(asyncio.create_task(self._call(held)))

    def take(self) -> list[Entry]:
        """All results, to be recorded."""
        taken, self.results = self.results, []
        return taken

    def give_back(self, entries: Sequence[Entry], *, never_begun: Sequence[Held]) -> None:
        """They could not be recorded; and nothing was written for those that were to begin."""
        self.results[:0] = entries
        for held in never_begun:
            self._note(held, _NEVER_WRITTEN, call=None)

    async def _call(self, held: Held) -> None:
        """One call: wait for the slot, look once more at the clock, write, say what came."""
        telemetry.bind(delivery_id=held.id)  # in this task of the loop alone
        try:
            if not self.is_unpaced:
                await asyncio.sleep(max(0.0, self.ledger.seconds_until(held.slot_at)))
            if self.is_late(held):
                self._note(held, _NEVER_WRITTEN, call=None)
            elif not may_call(held.telegram_id):
                self._note(held, Verdict(kind=Kind.SENT), call=None, diverted=True)
            else:
                call = await self._send(held)
                verdict = judge(
                    started=call.started, status=call.status, body=call.body, asked=call.retry_after
                )
                self._note(held, verdict, call=call)
        finally:
            self.running.discard(_current_task())
            self.ended()

    async def _send(self, held: Held) -> Call:
        try:
            with telemetry.continuing(held.trace):
                return await self.gateway.send(
                    chat_id=held.telegram_id,
                    text=held.text,
                    buttons=[[(b[0], b[1]) for b in row] for row in held.buttons],
                    delivery_id=held.id,
                )
        except Exception as error:
            # A gateway does not raise; if it does all the same, a byte may have gone out.
            log.exception("sender.gateway_raised")
            return Call(started=True, cause=type(error).__name__)

    def _note(
        self, held: Held, verdict: Verdict, *, call: Call | None, diverted: bool = False
    ) -> None:
        if call is None and not diverted:
            result = MISSED
        else:
            result = result_of(verdict, attempts=held.attempts, fraction=random.random())
        if not self.results:
            self.oldest = asyncio.get_running_loop().time()
        self.results.append(
            Entry(
                held=held,
                result=result,
                verdict=verdict,
                outcome=verdict.kind.value,
                http_status=call.status if call else None,
                diverted=diverted,
            )
        )


def may_call(telegram_id: int) -> bool:
    """Whether this environment may call Telegram for a chat: the guard at the one door (S06).

    Outside production only allow-listed chats are ever called; all else is recorded as diverted,
    which is the sandbox inbox. Without a BOT_TOKEN the sandbox takes everybody.
    """
    if settings.ENVIRONMENT == "production" or not settings.BOT_TOKEN:
        return True
    allowed = settings.STAGING_ALLOWED_CHATS
    return allowed is None or telegram_id in allowed


def _current_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None
    return task
