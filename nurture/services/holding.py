"""Hold journeys and let them go on: one, all of a learner, all of a sequence."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from attendance.models import ClassSession, Learner
from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.domain.states import Status
from delivery.models import Delivery
from nurture.domain import conditions
from nurture.domain.catching_up import Policy, catch_up
from nurture.domain.journey import Decision as Next
from nurture.domain.journey import Event
from nurture.domain.reasons import Reason
from nurture.domain.sequence import WaitKind
from nurture.models import Decision, Journey, JourneyStatus
from nurture.services.endings import exit_journey
from nurture.services.guard import all_at_once, one_journey
from nurture.services.journeys import (
    finish,
    locked,
    open_journeys,
    passed,
    plan_next,
    situation_of,
    thaw,
    was_in_time,
)
from nurture.services.situation import Situation
from nurture.services.world import World


def pause(*, journey: Journey, reason: str = Reason.PAUSED_BY_STAFF, now: datetime) -> bool:
    """Hold an active journey; its unsent message is withdrawn and planned again by `resume`.

    Returns False where it is not active. Safe to run twice.
    """
    return bool(pause_all(journeys=Journey.objects.filter(pk=journey.pk), reason=reason, now=now))


@transaction.atomic
def pause_all(
    *, journeys: QuerySet[Journey], reason: str = Reason.PAUSED_BY_STAFF, now: datetime
) -> int:
    """The same for many, in one transaction; return how many are held now. Safe to run twice."""
    rows = _active(journeys)
    world = World(now=now)
    withdrawn = _withdraw(rows)
    for journey in rows:
        if journey.waiting_on is not None and journey.waiting_on.dedupe_key in withdrawn:
            journey.waiting_on = None
        journey.status, journey.next_action_at = JourneyStatus.PAUSED, None
        journey.paused_at = now
        world.writes.change(journey)
        world.writes.note_of(journey, reason, now, step_key=journey.step_key)
    world.writes.write()
    return len(rows)


def resume(*, journey: Journey, policy: Policy = Policy.LATEST, now: datetime) -> bool:
    """Let a paused journey go on from where it was held; False where it is not paused.

    What was sent while it was held counts as done. Safe to run twice.
    """
    return bool(resume_all(journeys=Journey.objects.filter(pk=journey.pk), policy=policy, now=now))


@transaction.atomic
def resume_all(
    *, journeys: QuerySet[Journey], policy: Policy = Policy.LATEST, now: datetime
) -> int:
    """The same for many, in one transaction; return how many go on. Safe to run twice."""
    rows = list(
        locked(open_journeys().filter(pk__in=journeys.values("pk"), status=JourneyStatus.PAUSED))
    )
    world = World(now=now)
    world.read(rows)
    for journey in rows:
        go_on(journey=journey, policy=policy, world=world)
    world.writes.write()
    return len(rows)


@transaction.atomic
def end_all(*, journeys: QuerySet[Journey], now: datetime) -> int:
    """End open journeys on behalf of staff, and withdraw what they owe; return how many ended.

    Also what no journey waits on any more, such as what staff sent again, and nobody takes back
    or sends again what they had owed. Safe to run twice.
    """
    rows = list(locked(open_journeys().filter(pk__in=journeys.order_by().values("pk"))))
    world = World(now=now)
    ended = sum(
        exit_journey(journey=row, reason=Reason.ENDED_BY_STAFF, world=world) for row in rows
    )
    world.writes.write()
    planned = Decision.objects.filter(journey__in=rows, delivery__isnull=False)
    owed = dict(planned.values_list("delivery_id", "delivery__dedupe_key"))
    over = delivery_reasons.Reason.JOURNEY_EXITED
    delivery.cancel(dedupe_keys=[key for key in owed.values() if key], reason=over)
    delivery.withhold(delivery_ids=[pk for pk in owed if pk], reason=over)
    return ended


@transaction.atomic
def release_stream(*, journeys: QuerySet[Journey], policy: Policy, now: datetime) -> int:
    """What to do with messages that came due behind a closed gate, before it opens again.

    `shift`: they go out now and what follows counts from then. Else each journey that waits on
    one catches up as after a pause; return how many did. Safe to run twice.
    """
    if policy is Policy.SHIFT:
        return 0
    late = journeys.filter(waiting_on__status=Status.PENDING, waiting_on__due_at__lte=now)
    rows = _active(late)
    world = World(now=now)
    world.read(rows)
    withdrawn = _withdraw(rows)
    for journey in rows:
        row = journey.waiting_on
        if row is not None and row.dedupe_key in withdrawn:
            _catch_up(journey, row.due_at, policy, world)
    world.writes.write()
    return len(withdrawn)


def go_on(*, journey: Journey, policy: Policy, world: World) -> None:
    """Let one paused journey go on; the caller holds the row, and writes `world.writes`."""
    paused_at = journey.paused_at or world.now
    journey.status, journey.paused_at = JourneyStatus.ACTIVE, None
    said = {"policy": policy.value, "held_from": paused_at.isoformat()}
    world.writes.note_of(journey, Reason.RESUMED, world.now, step_key=journey.step_key, inputs=said)
    world.writes.change(journey)
    if journey.waiting_on is None or journey.waiting_on.settled_at is not None:
        _catch_up(journey, paused_at, policy, world)


def _catch_up(journey: Journey, paused_at: datetime, policy: Policy, world: World) -> None:
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        exit_journey(journey=journey, reason=found, world=world)
        return
    current = _where(journey, found)
    if current is None:
        finish(found, Event.FINISH)
        return

    in_time = current if _came_before(journey, current, paused_at, world) else None

    def ask(step: str, anchor: datetime, waited: str, then: datetime) -> Next:
        waited = waited or ("time" if step == in_time else "")
        return found.decide(current=step, waited=waited, anchor=anchor, now=then)

    resumption = catch_up(
        ask=ask, after=found.after, current=current, anchor=journey.anchor_at, policy=policy,
        paused_at=paused_at, now=world.now,
    )  # fmt: skip
    passed(found, resumption.trail, resumption.effects)
    journey.anchor_at = resumption.anchor
    if resumption.current is None:
        finish(found, Event.FINISH)
    else:
        waited = resumption.waited or ("time" if resumption.current == in_time else "")
        plan_next(journey=journey, world=world, current=resumption.current, waited=waited)


def _came_before(journey: Journey, current: str, paused_at: datetime, world: World) -> bool:
    """Whether the moment of this step had come before it was held, or its message is still ahead:
    it only waits for its hours, so nothing of it was missed."""
    step = next((row for row in world.spec(journey.version_id).steps if row.key == current), None)
    if step is None or step.wait.kind != WaitKind.BEFORE_NEXT_SESSION:
        return False
    told = Decision.objects.filter(
        journey=journey, step_key=current, code=Reason.STEP_PLANNED,
        delivery__status=Status.CANCELLED,
    )  # fmt: skip
    last = told.select_related("delivery").order_by("-id").first()
    following = world.next_session(journey.course_id)
    if last is None or last.delivery is None or following is None:
        return False
    moment = following.starts_at - step.wait.duration
    waits = moment < paused_at or last.delivery.due_at > world.now
    return waits and was_in_time(journey, last.delivery, world)


def _where(journey: Journey, here: Situation) -> str | None:
    """The step to go on with; None where the message that was under way was the last."""
    row = journey.waiting_on
    if row is None or row.settled_at is None or row.status == Status.CANCELLED:
        return journey.step_key
    journey.anchor_at = row.settled_at
    return here.after(journey.step_key)


def _active(journeys: QuerySet[Journey]) -> list[Journey]:
    rows = open_journeys().filter(pk__in=journeys.values("pk"), status=JourneyStatus.ACTIVE)
    return list(locked(rows))


def _withdraw(journeys: Iterable[Journey]) -> set[str]:
    """Cancel what these journeys owe and is not on the wire; return which it was."""
    owed: list[Delivery] = [row.waiting_on for row in journeys if row.waiting_on is not None]
    return delivery.cancel_each(
        dedupe_keys=[row.dedupe_key for row in owed], reason=delivery_reasons.Reason.WITHDRAWN
    )


@transaction.atomic
def answered_pledge(*, learner: Learner, session: ClassSession, now: datetime) -> int:
    """A learner said whether they come: withdraw planned messages whose condition fell by it.

    A condition is frozen when its step is planned, but what a learner has just told us must not
    be asked again (docs/decisions/0002). Returns how many were withdrawn; safe to run twice. A
    journey that breaks is held alone, so that what they said is kept.
    """
    world = World(now=now)
    rows = list(
        locked(
            open_journeys().filter(
                learner=learner, course=session.course_id, status=JourneyStatus.ACTIVE,
                waiting_on__isnull=False,
            )
        )
    )  # fmt: skip
    world.read(rows)
    moved: list[bool] = []
    if all_at_once(lambda: moved.extend(_heed_answer(row, world) for row in rows), world=world):
        return sum(moved)
    moved = []
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        alone = World(now=now)
        with one_journey(row, alone):
            moved.append(_heed_answer(row, alone))
    return sum(moved)


def _heed_answer(journey: Journey, world: World) -> bool:
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        return False
    step = found.step(journey.step_key)
    asked = step.when if step is not None else None
    if asked is None or conditions.holds(asked, found.facts):
        return False
    return thaw(journey=journey, world=world)
