"""What follows from a verdict: gates, the breaker, a chat's reachability, held sequences."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta

from delivery.domain.outcome import Consequence
from delivery.domain.reasons import Reason
from delivery.domain.results import MISSED
from delivery.domain.states import Status
from delivery.gateways import Gateway
from delivery.ledger import Ledger
from delivery.rows import Entry

log = logging.getLogger(__name__)

BREAKER_FAILURES, BREAKER_WINDOW = 5, 30.0
BREAKER_WAIT = timedelta(seconds=15)
BREAKER, TOKEN = "bot:breaker", "bot:token"


@dataclass(kw_only=True)
class Consequences:
    """Of one sender: it counts that sender's failures for the breaker."""

    ledger: Ledger
    gateway: Gateway
    _failures: deque[float] = field(default_factory=deque)

    async def follow(self, entry: Entry) -> None:
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
        if entry.http_status is None or entry.http_status >= 500:
            await self._count_failure(entry)
        if entry.result.status is Status.FAILED:
            refused = verdict.reason is Reason.CONTENT_REFUSED
            why = await self.ledger.hold_stream(
                entry.held, refused=refused, said=verdict.description
            )
            if why:
                log.error("sender.stream_held", extra={"why": why})

    async def _count_failure(self, entry: Entry) -> None:
        """Five calls in half a minute that came to nothing: leave Telegram alone for a while."""
        if entry.diverted or entry.result is MISSED:
            return
        self._failures.append(_now())
        while self._failures and self._failures[0] < _now() - BREAKER_WINDOW:
            self._failures.popleft()
        if len(self._failures) >= BREAKER_FAILURES:
            log.warning("sender.breaker_open")
            self._failures.clear()
            await self.ledger.shut(
                key=BREAKER, reason="Telegram does not answer", wait=BREAKER_WAIT
            )

    async def probe(self) -> None:
        """When the breaker's time is over, ask getMe before any learner's message is tried."""
        if not await self.ledger.half_open(key=BREAKER):
            return
        call = await self.gateway.get_me()
        if call.status == 200:
            log.info("sender.breaker_closed")
            await self.ledger.reopen(key=BREAKER)
        else:
            await self.ledger.shut(
                key=BREAKER, reason="Telegram does not answer", wait=BREAKER_WAIT
            )


def _now() -> float:
    return asyncio.get_running_loop().time()
