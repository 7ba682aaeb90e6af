"""One pass of the engine: from what attendance found to what delivery owes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from attendance import services as attendance
from nurture import flags, selectors
from nurture.models import JourneyStatus
from nurture.services.deliveries import observe_deliveries
from nurture.services.events import process_events
from nurture.services.guard import one_journey
from nurture.services.journeys import locked, open_journeys, plan_next
from nurture.services.world import Tally, World


@dataclass(frozen=True)
class TickReport:
    """What one pass did."""

    settled: int = 0  # classes evaluated
    facts: int = 0  # facts acted on
    journeys: int = 0  # journeys begun
    deliveries: int = 0  # messages planned


def tick(*, now: datetime) -> TickReport:
    """Settle classes, act on facts, look at settled messages, plan what is due; until none is left.

    Safe to run at any time, twice, and in many processes: each part claims its rows. While the
    switch `nurture` is off journeys stand still and facts are answered with `nurture_off`; while
    `attendance` is off nothing is settled.
    """
    tally = Tally()
    settled = attendance.settle(now=now).settled if flags.attendance_is_on() else 0
    facts = 0
    while found := process_events(now=now, tally=tally):
        facts += found
    if flags.nurture_is_on():
        while observe_deliveries(now=now, tally=tally):
            pass
        while advance_due(now=now, tally=tally):
            pass
    return TickReport(
        settled=settled, facts=facts, journeys=tally.journeys, deliveries=tally.deliveries
    )


def has_work(*, now: datetime) -> bool:
    """Whether a pass would find something to do, as the switches stand; cheap enough each second.

    What stands still because a switch is off is no work.
    """
    return selectors.has_work(
        now=now, settles=flags.attendance_is_on(), advances=flags.nurture_is_on()
    )


@transaction.atomic
def advance_due(*, now: datetime, limit: int = 200, tally: Tally | None = None) -> int:
    """Plan up to `limit` journeys whose time has come, oldest first; return how many.

    One transaction; rows that somebody else holds are left out. A journey that breaks is held
    and given to staff, the others go on.
    """
    rows = list(
        locked(
            open_journeys()
            .filter(status=JourneyStatus.ACTIVE, next_action_at__lte=now)
            .order_by("next_action_at", "id"),
            skip_locked=True,
        )[:limit]
    )
    if not rows:
        return 0
    world = World(now=now, tally=tally or Tally())
    world.load_contacts({row.learner_id for row in rows})
    for journey in rows:
        with one_journey(journey, world):
            plan_next(journey=journey, world=world, current=journey.step_key, waited="time")
    world.notes.write()
    return len(rows)
