"""The worker's side of delivery: a doorbell that says there may be something to send."""

from __future__ import annotations

import logging
import threading

import dramatiq
import redis
from dramatiq.errors import BrokerConnectionError

from delivery import clock, selectors, sender
from delivery.models import Process
from delivery.services.gates import ensure_pacing
from delivery.services.heartbeats import beat
from delivery.services.installation import arm
from delivery.telegram import gateway

log = logging.getLogger(__name__)

BUDGET_SECONDS = 20.0
# One sender per process: one loop, one bot, at most eight in flight.
_busy = threading.Lock()
_stopping = threading.Event()


class StopSending(dramatiq.Middleware):
    """SIGTERM: claim no more, give leases back, let what is on the wire come to its end."""

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Called before the worker waits for its threads."""
        stop()


def stop() -> None:
    """Let this process end what it sends, and send no more."""
    _stopping.set()


dramatiq.get_broker().add_middleware(StopSending())


@dramatiq.actor(queue_name="delivery", max_retries=0, time_limit=60_000, max_age=30_000)
def drain_deliveries() -> None:
    """Send what is due, for at most 20 s; rung again while there is more.

    Safe to ring at any time and from anywhere: a process that is sending already returns at once.
    """
    if _stopping.is_set() or not _busy.acquire(blocking=False):
        return
    try:
        if arm(now=clock.now()):
            return
        ensure_pacing()
        sender.drain(gateway, budget_seconds=BUDGET_SECONDS, stopping=_stopping)
    finally:
        _busy.release()
    # Also while stopping: the bell is for the workers that stay.
    if selectors.has_due() and not selectors.blocking_gates():
        ring()


@dramatiq.actor(queue_name="delivery", max_retries=0, time_limit=10_000, max_age=10_000)
def show_life() -> None:
    """Note that a worker hears its bells. Rung by the clock; never run by the clock itself."""
    beat(Process.WORKER)


def ring() -> None:
    """Say that there is something to send. A bell that nobody hears costs one tick of the clock."""
    try:
        drain_deliveries.send()
    except (redis.RedisError, BrokerConnectionError):
        log.warning("delivery.redis_unreachable")
