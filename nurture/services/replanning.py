"""A learner's clock, language or quiet hours changed: what is planned is planned anew."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from nurture import selectors
from nurture.domain.reasons import Reason
from nurture.models import Contact, CourseZone, Journey, JourneyStatus, PledgeQuestion
from nurture.services.asking import take_back
from nurture.services.guard import all_at_once, one_journey
from nurture.services.journeys import locked, open_journeys, replan
from nurture.services.world import World


@transaction.atomic
def plan_anew(*, learners: Collection[int], now: datetime) -> int:
    """Decide again about what is planned for these learners and not due yet; return how many.

    What is due stays as it is: deciding again could only lose it. Safe to run twice.
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
    rows = list(
        locked(
            journeys.filter(
                status=JourneyStatus.ACTIVE,
                waiting_on__isnull=False,
                waiting_on__due_at__gt=now,
            )
        )
    )
    # Journeys before questions, as wherever both are locked: nobody waits in a ring.
    count = take_back(questions.filter(delivery__due_at__gt=now), code=Reason.TAKEN_BACK, now=now)
    world = World(now=now)
    world.read(rows)
    if all_at_once(lambda: _decide(rows, world), world=world):
        return count + len(rows)
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        world = World(now=now)
        with one_journey(row, world):
            _decide([row], world)
    return count + len(rows)


def _decide(journeys: list[Journey], world: World) -> None:
    for journey in journeys:
        replan(journey=journey, why=Reason.PLANNED_ANEW, world=world)
