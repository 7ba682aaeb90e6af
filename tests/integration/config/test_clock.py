"""The clock rings; where nobody can hear it, it does the work beside its looks (F6, F9)."""

from __future__ import annotations

import threading
from typing import Any

import dramatiq
import pytest
from redis import ConnectionError as Unreachable

from config import clock, onward
from config.clock import Bell
from delivery import selectors
from nurture import services, tasks


class Actor:
    """What a bell needs of an actor; its work ends when told."""

    actor_name = "work"

    def __init__(self, *, reachable: bool) -> None:
        self.reachable, self.rung = reachable, 0
        self.begun, self.may_end = threading.Event(), threading.Event()

    def send(self) -> None:
        """Ring."""
        if not self.reachable:
            raise Unreachable("no broker")
        self.rung += 1

    def __call__(self) -> None:
        """Work."""
        self.begun.set()
        assert self.may_end.wait(10)


def bell_of(actor: Any) -> Bell:
    """A bell that always has work."""
    return Bell(actor=actor, due=lambda: True)


def test_a_bell_that_is_heard_costs_the_clock_no_work() -> None:
    actor = Actor(reachable=True)
    bell = bell_of(actor)

    assert [bell.look(monotonic=at) for at in (0.0, 1.0)] == [True, True]

    assert (actor.rung, actor.begun.is_set(), bell.is_alone) == (2, False, False)


def test_without_redis_long_work_keeps_no_other_bell_waiting() -> None:
    long, short = Actor(reachable=False), Actor(reachable=False)
    short.may_end.set()
    bells = [bell_of(long), bell_of(short)]
    stopping = threading.Event()
    running = threading.Thread(target=clock.run, args=(bells,), kwargs={"stopping": stopping})

    running.start()
    assert long.begun.wait(10)
    assert short.begun.wait(10)  # though the long one has not ended
    assert not bells[0].look(monotonic=0.0)  # nor is it begun twice
    long.may_end.set()
    stopping.set()
    running.join(10)

    assert not running.is_alive()


@pytest.mark.parametrize(
    ("actor", "has_work", "rung"),
    [
        ("sync_attendance", True, 1), ("handle_updates", True, 1), ("sync_attendance", False, 0),
        ("tick", True, 0),
    ],
)  # fmt: skip
@pytest.mark.django_db
def test_a_task_that_leaves_facts_rings_nurture(
    monkeypatch: pytest.MonkeyPatch, actor: str, has_work: bool, rung: int
) -> None:
    bells: list[None] = []
    monkeypatch.setattr(services, "has_work", lambda now: has_work)
    monkeypatch.setattr(tasks, "ring", lambda: bells.append(None))
    broker = dramatiq.get_broker()
    made: dramatiq.Message[None] = dramatiq.Message(
        queue_name="q", actor_name=actor, args=(), kwargs={}, options={}
    )

    onward.RingOnward().after_process_message(broker, dramatiq.MessageProxy(made))

    assert len(bells) == rung


@pytest.mark.django_db
def test_a_bell_for_workers_is_not_worked_off_by_the_clock() -> None:
    """Else the clock would say that a worker lives."""
    actor: Any = Actor(reachable=False)
    bell = Bell(actor=actor, due=lambda: True, for_workers=True)

    assert bell.look(monotonic=0.0)

    assert (actor.begun.is_set(), bell.is_alone) == (False, False)


@pytest.mark.django_db
def test_the_clock_notes_that_it_runs_and_has_workers_do_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bell = next(bell for bell in clock.timetable() if bell.for_workers)
    actor: Any = Actor(reachable=True)
    monkeypatch.setattr(bell, "actor", actor)

    assert [bell.look(monotonic=at) for at in (0.0, 14.0, 15.0)] == [True, False, True]

    assert set(selectors.standing().processes) == {"clock"}
    assert actor.rung == 2
