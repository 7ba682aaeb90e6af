"""A learner's clock, language or quiet hours changed: what is planned is planned anew."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from delivery import services as delivery
from delivery.models import Delivery
from nurture import selectors
from nurture.domain.reasons import Reason
from nurture.domain.sequence import WaitKind
from nurture.models import Contact, CourseZone, Journey, JourneyStatus, PledgeQuestion
from nurture.services.asking import take_back
from nurture.services.guard import all_at_once, one_journey
from nurture.services.journeys import (
    locked,
    open_journeys,
    plan_next,
    replan,
    situation_of,
)
from nurture.services.world import World


@transaction.atomic
def plan_anew(*, learners: Collection[int], now: datetime) -> int:
    """Decide again about what is planned for these learners and not due yet; return how many.

    What is about to go out stays, within the hours that hold now: deciding again could only lose
    it. Safe to run twice.
    """
    questions = PledgeQuestion.objects.filter(learner__in=learners)
    return _plan_anew(open_journeys().filter(learner__in=learners), questions, now)


def heed_zones(*, now: datetime) -> int:
    """Plan anew by the zones that courses have now; return how many messages.

    A course may be given a zone by staff, by its calendar or by TIME_ZONE. Those of its learners
    who named their own are left alone. One transaction for each course. Safe to run twice and in
    many processes: a course is locked, and looked at again.
    """
    return sum(_heed(course, zone, now) for course, zone in selectors.zones_changed())


@transaction.atomic
def _heed(course: int, zone: str, now: datetime) -> int:
    # A course that is new here: `tick` heeds zones before it plans, so nothing is planned yet.
    CourseZone.objects.get_or_create(course_id=course, defaults={"zone": zone})
    planned_by = CourseZone.objects.select_for_update(no_key=True).get(course_id=course)
    if planned_by.zone == zone:
        return 0
    planned_by.zone = zone
    planned_by.save(update_fields=["zone"])
    theirs = Contact.objects.filter(time_zone="").values("learner")
    return _plan_anew(
        open_journeys().filter(course=course, learner__in=theirs),
        PledgeQuestion.objects.filter(session__course=course, learner__in=theirs),
        now,
    )


def _plan_anew(
    journeys: QuerySet[Journey], questions: QuerySet[PledgeQuestion], now: datetime
) -> int:
    count = take_back(questions, code=Reason.TAKEN_BACK, now=now)
    # All that are active: what a pass plans just now is seen when it has let go.
    rows = list(locked(journeys.filter(status=JourneyStatus.ACTIVE)))
    world = World(now=now)
    world.read(rows)
    if all_at_once(lambda: _decide(rows, world), world=world):
        return count + world.writes.deliveries
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        world = World(now=now)
        with one_journey(row, world):
            _decide([row], world)
        count += world.writes.deliveries
    return count


def _decide(journeys: list[Journey], world: World) -> None:
    for journey in journeys:
        if journey.waiting_on is None:
            _wait_anew(journey, world)
        elif max(journey.waiting_on.due_at, journey.waiting_on.run_at) > world.now:
            replan(journey=journey, why=Reason.PLANNED_ANEW, world=world)
        else:
            _keep_hours(journey, journey.waiting_on, world)


def _wait_anew(journey: Journey, world: World) -> None:
    """A journey that waits for a local time waits for that of its clock now."""
    here = situation_of(journey, world)
    step = None if isinstance(here, Reason) else here.step(journey.step_key)
    if step is not None and step.wait.kind == WaitKind.AT:
        plan_next(journey=journey, world=world, current=journey.step_key)


def _keep_hours(journey: Journey, owed: Delivery, world: World) -> None:
    """What is due may be held by a gate: when that opens, the hours of now count."""
    here = situation_of(journey, world)
    if isinstance(here, Reason):
        return
    opening = here.opening(world.now)
    if opening is None:
        replan(journey=journey, why=Reason.PLANNED_ANEW, world=world)
    else:
        delivery.set_hours(dedupe_key=owed.dedupe_key, window=here.hours(opening))
