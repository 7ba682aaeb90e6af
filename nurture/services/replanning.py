"""A learner's clock, language, quiet hours or chat changed: what is planned is planned anew."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.models import Delivery
from nurture import selectors
from nurture.domain.reasons import Reason
from nurture.domain.sequence import WaitKind
from nurture.models import Contact, CourseZone, Decision, Journey, JourneyStatus, PledgeQuestion
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


@transaction.atomic
def leave_chat(*, learner: int, chat: int, now: datetime) -> int:
    """A learner is not written to in a chat any more: what is owed to them there is withdrawn.

    Also what is due, since whoever has the chat may be somebody else. Their journeys go on where
    they are written to now, or end. Call it in the transaction that moves them. Returns how many
    messages were decided about again; safe to run twice.
    """
    questions = PledgeQuestion.objects.filter(learner=learner, delivery__chat=chat)

    def decide(journeys: list[Journey], world: World) -> None:
        for journey in journeys:
            if journey.waiting_on is not None and journey.waiting_on.chat_id == chat:
                replan(journey=journey, why=Reason.PLANNED_ANEW, world=world)

    count = _plan_anew(open_journeys().filter(learner=learner), questions, now, decide=decide)
    # And what no journey waits on, such as what staff let go out of a dry run or might send again.
    planned = Decision.objects.filter(learner=learner, delivery__chat=chat)
    rows = dict(planned.values_list("delivery_id", "delivery__dedupe_key"))
    gone = delivery_reasons.Reason.WITHDRAWN
    delivery.cancel(dedupe_keys=[key for key in rows.values() if key], reason=gone)
    delivery.withhold(delivery_ids=[pk for pk in rows if pk], reason=gone)
    return count


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
    journeys: QuerySet[Journey],
    questions: QuerySet[PledgeQuestion],
    now: datetime,
    *,
    decide: Callable[[list[Journey], World], None] | None = None,
) -> int:
    act = decide or _decide
    # All that are active: what a pass plans just now is seen when it has let go. And journeys
    # before questions, as wherever both are locked: nobody waits in a ring.
    rows = list(locked(journeys.filter(status=JourneyStatus.ACTIVE)))
    count = take_back(questions, code=Reason.TAKEN_BACK, now=now)
    world = World(now=now)
    world.read(rows)
    if all_at_once(lambda: act(rows, world), world=world):
        return count + world.writes.deliveries
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        world = World(now=now)
        with one_journey(row, world):
            act([row], world)
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
