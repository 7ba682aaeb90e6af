"""The worker's side of delivery: a doorbell that says there may be something to send."""

from __future__ import annotations

import logging
import threading

import dramatiq
import redis
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Interrupt

from delivery import clock, selectors, sender
from delivery.services.gates import ensure_pacing
from delivery.services.installation import arm
from delivery.telegram import gateway

log = logging.getLogger(__name__)

BUDGET_SECONDS = 20.0
# One sender per process: one loop, one bot, at most eight in flight.
_busy = threading.Lock()


@dramatiq.actor(queue_name="delivery", max_retries=0, time_limit=60_000, max_age=30_000)
def drain_deliveries() -> None:
    """Send what is due, for at most 20 s; rung again while there is more.

    Safe to ring at any time and from anywhere: a process that is sending already returns at once.
    """
    if not _busy.acquire(blocking=False):
        return
    try:
        if arm(now=clock.now()):
            return
        ensure_pacing()
        stopping = threading.Event()
        try:
            sender.drain(gateway, budget_seconds=BUDGET_SECONDS, stopping=stopping)
        except Interrupt:
            stopping.set()
            raise
    finally:
        _busy.release()
    if selectors.has_due() and not selectors.blocking_gates():
        ring()


def ring() -> None:
    """Say that there is something to send. A bell that nobody hears costs one tick of the clock."""
    try:
        drain_deliveries.send()
    except (redis.RedisError, BrokerConnectionError):
        log.warning("delivery.redis_unreachable")
