"""The timetable: what is rung how often, and whether there is anything to ring for.

All state is in PostgreSQL, so a bell carries nothing, a lost one costs one tick of lateness, and
any number of clocks may run: every bell is harmless when doubled.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import redis
from django.db import DatabaseError, close_old_connections, connections
from dramatiq import Actor
from dramatiq.errors import BrokerConnectionError

from config import telemetry

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
ALONE_SECONDS = 0.2  # between looks while the clock does the work itself: nobody else rings then


@dataclass(kw_only=True)
class Bell:
    """One actor, when it is worth ringing, and how often to look."""

    actor: Actor[[], None]
    due: Callable[[], bool]
    every_seconds: float = 0.0
    for_workers: bool = False  # nothing that the clock could do itself
    next_look: float = field(default=0.0, init=False)
    is_alone: bool = field(default=False, init=False)
    _work: threading.Thread | None = field(default=None, init=False)

    def look(self, *, monotonic: float) -> bool:
        """Ring if it is time to look and there is work; return whether it rang."""
        if monotonic < self.next_look:
            return False
        self.next_look = monotonic + self.every_seconds
        self.is_alone = self._work is not None and self._work.is_alive()
        if self.is_alone or not self.due():
            return False
        self._ring()
        return True

    def _ring(self) -> None:
        try:
            self.actor.send()
        except (redis.RedisError, BrokerConnectionError):
            # Redis is only the doorbell: without it the clock does the work itself, beside its
            # looks, so that learners are answered while a long lot goes out.
            log.warning("clock.redis_unreachable", extra={"actor": self.actor.actor_name})
            if self.for_workers:
                return
            self.is_alone = True
            self._work = threading.Thread(target=self._do, name=self.actor.actor_name)
            self._work.start()

    def _do(self) -> None:
        name = self.actor.actor_name
        try:
            with telemetry.bound(task=name), telemetry.span(name, task=name):
                self.actor()
        except DatabaseError:
            log.warning("clock.database_unreachable")
        finally:
            connections.close_all()


def timetable() -> list[Bell]:
    """Every bell of the system. Imported late: actors need the broker that Django sets up."""
    from django.utils import timezone

    import attendance.selectors
    import attendance.tasks
    import delivery.clock
    import delivery.inbound_tasks
    import delivery.selectors
    import delivery.tasks
    import nurture.services.figures
    import nurture.tasks

    # Each before those that go on with what it leaves.
    return [
        Bell(actor=delivery.tasks.show_life, due=_show_life, every_seconds=15, for_workers=True),
        Bell(
            actor=nurture.tasks.tick,
            due=lambda: nurture.services.has_upkeep(now=delivery.clock.now()),
            every_seconds=15,
        ),
        Bell(
            actor=attendance.tasks.sync_attendance,
            due=lambda: attendance.selectors.sync_is_due(now=timezone.now()),
            every_seconds=30,
        ),
        Bell(
            actor=delivery.inbound_tasks.handle_updates,
            due=lambda: delivery.selectors.has_updates(now=delivery.clock.now()),
        ),
        Bell(
            actor=nurture.tasks.tick,
            due=lambda: nurture.services.has_work(now=delivery.clock.now()),
        ),
        Bell(actor=delivery.tasks.drain_deliveries, due=delivery.selectors.has_due),
        Bell(
            actor=nurture.tasks.count_hours,
            due=lambda: nurture.services.figures.hours_are_due(now=delivery.clock.now()),
            every_seconds=60,
        ),
    ]


def _show_life() -> bool:
    """The clock notes that it runs, and has the workers do the same."""
    from delivery.models import Process
    from delivery.services.heartbeats import beat

    beat(Process.CLOCK)
    return True


def run(bells: Sequence[Bell], *, stopping: threading.Event) -> None:
    """Ring until `stopping` is set. A database that is away is waited for, no reason to die."""
    while not stopping.is_set():
        started = time.monotonic()
        try:
            for bell in bells:
                bell.look(monotonic=started)
        except DatabaseError:
            log.warning("clock.database_unreachable")
        close_old_connections()
        pause = ALONE_SECONDS if any(bell.is_alone for bell in bells) else TICK_SECONDS
        stopping.wait(max(0.0, pause - (time.monotonic() - started)))
