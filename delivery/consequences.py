"""What follows from a verdict: gates, the breaker, a chat's reachability, held sequences."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from delivery.domain.outcome import Consequence, Kind
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
#: When calls of this process came to nothing: an outage is longer than a drain.
failures: deque[float] = deque(maxlen=BREAKER_FAILURES)


@dataclass(kw_only=True)
class Consequences:
    """Of what one sender is told."""

    ledger: Ledger
    gateway: Gateway

    async def follow(self, entry: Entry) -> None:
        """Do what the verdict on one recorded try asks for. Safe to do again."""
        verdict = entry.verdict
        _log_failure(entry)
        if verdict.consequence is Consequence.HOLD_BOT and verdict.retry_after is not None:
            log.warning(
                "sender.held_by_telegram", extra={"seconds": verdict.retry_after.total_seconds()}
            )
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
                log.error("sender.stream_held", extra={"stream": why.partition(": ")[0]})

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

    async def probe(self) -> None:
        """Behind the breaker, ask getMe now and then: no learner's message is tried for it."""
        if not await self.ledger.may_probe(key=BREAKER, wait=BREAKER_WAIT):
            return
        call = await self.gateway.get_me()
        if call.status == 200 and call.body and call.body.get("ok") is True:
            log.info("sender.breaker_closed")
            await self.ledger.reopen(key=BREAKER)
        else:
            await self._shut_breaker()


def _log_failure(entry: Entry) -> None:
    """What was sent is not worth a line each: the row and its tries say it."""
    if entry.verdict.kind is not Kind.SENT and entry.result is not MISSED:
        said = {"outcome": entry.outcome, "http_status": entry.http_status}
        log.info("sender.not_sent", extra={"delivery_id": entry.held.id, **said})


def _now() -> float:
    return asyncio.get_running_loop().time()
