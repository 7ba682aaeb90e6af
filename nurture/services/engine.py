"""One pass of the engine: from what attendance found to what delivery owes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from attendance import services as attendance
from delivery import services as delivery
from nurture import flags, selectors
from nurture.models import Journey, JourneyStatus
from nurture.services.asking import ask_pledges
from nurture.services.deliveries import observe_deliveries
from nurture.services.events import process_events
from nurture.services.guard import all_at_once, one_journey
from nurture.services.journeys import locked, open_journeys, plan_next
from nurture.services.leaving import hold_what_drives_away
from nurture.services.replanning import heed_zones
from nurture.services.tally import Tally
from nurture.services.world import World

#: How many rows one transaction takes.
AT_ONCE = 500


@dataclass(frozen=True)
class TickReport:
    """What one pass did."""

    settled: int = 0  # classes evaluated
    facts: int = 0  # facts acted on
    journeys: int = 0  # journeys begun
    deliveries: int = 0  # messages planned


def tick(*, now: datetime) -> TickReport:
    """Settle classes, act on facts, look at settled messages, plan what is due; until none is left.

    Before that, plan anew where a course has another zone; after it, ask who comes to the next
    classes, and hold sequences that drive learners away.

    Safe to run at any time, twice, and in many processes: each part claims its rows. While the
    switch `nurture` is off journeys stand still and facts are answered with `nurture_off`; while
    `attendance` is off nothing is settled.
    """
    tally = Tally()
    settled = attendance.settle(now=now).settled if flags.attendance_is_on() else 0
    if flags.nurture_is_on():
        heed_zones(now=now)
    react(now=now, tally=tally)
    _all(ask_pledges, now, tally)
    hold_what_drives_away(now=now)
    return TickReport(
        settled=settled, facts=tally.facts, journeys=tally.journeys, deliveries=tally.deliveries
    )


def react(*, now: datetime, tally: Tally | None = None) -> int:
    """The part of a pass that comes after attendance: facts, settled messages, due journeys.

    Returns how many of them were acted on. Simulation runs this, too.
    """
    total = tally or Tally()
    found = selectors.work(now=now)
    if found.facts:
        total.facts += _all(process_events, now, total)
        found = selectors.work(now=now)
    moved = total.facts + _move_on(found, now, total)
    while delivery.rehearse():
        moved += _move_on(selectors.work(now=now), now, total)
    return moved


def _move_on(found: selectors.Work, now: datetime, total: Tally) -> int:
    moved = 0
    if found.ends and flags.nurture_is_on():
        moved += _all(observe_deliveries, now, total)
    if found.due and flags.nurture_is_on():
        moved += _all(advance_due, now, total)
    return moved


def _all(part: Callable[..., int], now: datetime, tally: Tally) -> int:
    """Run a part of the pass until it leaves nothing; return how much it did."""
    done = 0
    while found := part(now=now, limit=AT_ONCE, tally=tally):
        done += found
        if found < AT_ONCE:
            break
    return done


def has_work(*, now: datetime) -> bool:
    """Whether a pass would find something to do, as the switches stand; cheap enough each second.

    What stands still because a switch is off is no work.
    """
    found = selectors.has_work(
        now=now, settles=flags.attendance_is_on(), advances=flags.nurture_is_on()
    )
    return found or delivery.is_rehearsal_due()


def has_upkeep(*, now: datetime) -> bool:
    """Whether a pass would find somebody to ask, a sequence to hold or another zone to plan by.

    No matter of seconds.
    """
    if selectors.undecided(now=now, percent=flags.rollout_percent(), limit=1):
        return True
    if flags.nurture_is_on() and selectors.zones_changed():
        return True
    return bool(selectors.held_unseen() or selectors.driven_away(now=now))


@transaction.atomic
def advance_due(*, now: datetime, limit: int = AT_ONCE, tally: Tally | None = None) -> int:
    """Plan up to `limit` journeys whose time has come, oldest first; return how many.

    One transaction, and as many statements for 500 journeys as for one; rows that somebody else
    holds are left out. A journey that breaks is held and given to staff, the others go on.
    """
    rows = _due(now, limit)
    if not rows:
        return 0
    total = tally or Tally()
    world = World(now=now)
    world.read(rows)
    if all_at_once(lambda: _advance(rows, world), world=world):
        total.add(world.writes)
        return len(rows)
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        world = World(now=now)
        with one_journey(row, world):
            _advance([row], world)
        total.add(world.writes)
    return len(rows)


def _due(now: datetime, limit: int) -> list[Journey]:
    due = open_journeys().filter(status=JourneyStatus.ACTIVE, next_action_at__lte=now)
    return list(locked(due.order_by("next_action_at", "id"), skip_locked=True)[:limit])


def _advance(journeys: list[Journey], world: World) -> None:
    for journey in journeys:
        plan_next(journey=journey, world=world, current=journey.step_key, waited="time")
