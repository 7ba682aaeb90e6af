"""The worker's side of nurture: a doorbell that says there may be something to decide."""

from __future__ import annotations

import logging
import threading

import dramatiq
import redis
from dramatiq.errors import BrokerConnectionError

from delivery import clock
from delivery import selectors as delivery_selectors
from delivery import tasks as delivery_tasks
from nurture import services
from nurture.services import backtests, figures

log = logging.getLogger(__name__)

#: Passes of one bell: whoever rings meanwhile is heard by the pass that comes after.
MOST_PASSES = 3
# One pass at a time in a process: bells that come while thousands of facts are worked off must not
# take every thread, for learners wait for answers.
_busy = threading.Lock()
_again = threading.Event()


@dramatiq.actor(queue_name="nurture", max_retries=0, time_limit=180_000, max_age=30_000)
def tick() -> None:
    """One pass of the engine; the sender is rung where something is due then.

    Safe to ring at any time, and twice: each part of the pass claims its rows. A process that is
    at it already takes note, goes over it once more, and this call returns at once.
    """
    _again.set()
    for _ in range(MOST_PASSES):
        if not _again.is_set() or not _busy.acquire(blocking=False):
            return
        try:
            _again.clear()
            _pass()
        finally:
            _busy.release()


def _pass() -> None:
    report = services.tick(now=clock.now())
    if report.facts or report.journeys or report.deliveries:
        log.info("nurture.tick", extra={"facts": report.facts, "deliveries": report.deliveries})
    if delivery_selectors.has_due() and not delivery_selectors.blocking_gates():
        delivery_tasks.ring()


@dramatiq.actor(queue_name="nurture", max_retries=0, time_limit=300_000, max_age=60_000)
def count_hours() -> None:
    """Count what happened in the hours that are over. Safe to ring twice: one does it."""
    figures.count_hours(now=clock.now())


@dramatiq.actor(queue_name="backtests", max_retries=0, time_limit=1_800_000, max_age=3_600_000)
def run_backtests() -> None:
    """Run every backtest that staff wait for. Safe to ring at any time: each is claimed."""
    done = backtests.run_waiting(now=clock.now())
    if done:
        log.info("nurture.backtests", extra={"backtests": done})


def ring_for_backtests() -> None:
    """Say that somebody waits for a backtest; its page rings again while it waits."""
    try:
        run_backtests.send()
    except (redis.RedisError, BrokerConnectionError):
        log.warning("nurture.redis_unreachable")


def ring() -> None:
    """Say that there is something to decide. A bell that nobody hears costs one tick."""
    try:
        tick.send()
    except (redis.RedisError, BrokerConnectionError):
        log.warning("nurture.redis_unreachable")
