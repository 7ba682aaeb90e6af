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

#: What each bell is for, in the words that staff read.
DOES = {
    "upkeep": "Asks who comes to the next classes; holds what drives learners away.",
    "google": "Reads the calendars and the Meet log, then settles classes.",
    "updates": "Answers what learners write and press.",
    "journeys": "Turns facts into journeys, and journeys into deliveries.",
    "send": "Sends what is due.",
    "figures": "Counts what happened in the hours that are over.",
}


@dataclass(kw_only=True)
class Bell:
    """One actor, when it is worth ringing, and how often to look."""

    actor: Actor[[], None]
    due: Callable[[], bool]
    every_seconds: float = 0.0
    for_workers: bool = False  # nothing that the clock could do itself
    name: str = ""  # of its line in the timetable that staff see
    rang: float | None = field(default=None, init=False)  # monotonic
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
        self.rang = monotonic
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
    """Every bell of the system."""
    import config.tasks
    import delivery.tasks

    bells = _bells()
    life = Bell(
        actor=delivery.tasks.show_life, due=lambda: _show_life(bells), every_seconds=15,
        for_workers=True,
    )  # fmt: skip
    return [
        life,
        *bells,
        Bell(actor=config.tasks.run_jobs, due=_Jobs(bells).are_due, every_seconds=5),
    ]


def _bells() -> list[Bell]:
    """Those that are always on, each before those that go on with what it leaves.

    Imported late: actors need the broker that Django sets up.
    """
    from django.utils import timezone

    import attendance.selectors
    import attendance.tasks
    import delivery.inbound_tasks
    import delivery.selectors
    import delivery.tasks
    import nurture.tasks
    from delivery.clock import now
    from nurture import services
    from nurture.services import figures

    return [
        Bell(
            name="upkeep", actor=nurture.tasks.tick, every_seconds=15,
            due=lambda: services.has_upkeep(now=now()),
        ),
        Bell(
            name="google", actor=attendance.tasks.sync_attendance, every_seconds=30,
            due=lambda: attendance.selectors.sync_is_due(now=timezone.now()),
        ),
        Bell(
            name="updates", actor=delivery.inbound_tasks.handle_updates,
            due=lambda: delivery.selectors.has_updates(now=now()),
        ),
        Bell(
            name="journeys", actor=nurture.tasks.tick, due=lambda: services.has_work(now=now())
        ),
        Bell(name="send", actor=delivery.tasks.drain_deliveries, due=delivery.selectors.has_due),
        Bell(
            name="figures", actor=nurture.tasks.count_hours, every_seconds=60,
            due=lambda: figures.hours_are_due(now=now()),
        ),
    ]  # fmt: skip


def _show_life(bells: Sequence[Bell]) -> bool:
    """The clock notes that it runs and what it rang, and has the workers do the same."""
    from delivery.models import Process
    from delivery.services.heartbeats import beat

    beat(Process.CLOCK)
    _note(bells)
    return True


def _note(bells: Sequence[Bell]) -> None:
    from nurture.services.jobs import note_bells

    at = time.monotonic()
    note_bells(rang={one.name: None if one.rang is None else at - one.rang for one in bells})


@dataclass
class _Jobs:
    """Whether a nightly job is due. The first look makes the rows say what the timetable says."""

    bells: Sequence[Bell]
    listed: bool = False

    def are_due(self) -> bool:
        from config import jobs
        from delivery import clock
        from nurture.services.jobs import Line, are_due, list_jobs

        if not self.listed:
            bells = [
                Line(
                    name=one.name,
                    does=DOES[one.name],
                    every_seconds=one.every_seconds or TICK_SECONDS,
                )
                for one in self.bells
            ]
            list_jobs(lines=[*bells, *jobs.lines()], now=clock.now())
            _note(self.bells)
            self.listed = True
        return are_due(now=clock.now())


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
