"""Journeys: begin, plan what comes next, hold, go on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from attendance.models import AttendanceEvent, ClassSession, Learner
from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.models import Delivery
from nurture import texts
from nurture.domain import conditions
from nurture.domain.entry import Enter
from nurture.domain.journey import AddTag, End, Event, HandOver, RemoveTag, Send, WaitUntil
from nurture.domain.reasons import Reason
from nurture.domain.sequence import StepKind, WaitKind
from nurture.models import (
    OPEN,
    ContactTag,
    Journey,
    JourneyStatus,
    SequenceVersion,
    StaffTask,
    TaskKind,
)
from nurture.services.endings import end, exit_journey, withdraw
from nurture.services.situation import Situation
from nurture.services.world import World, why_silent

RELATED = (
    "version__sequence",
    "learner",
    "session__course",
    "course",
    "cause__outcome",
    "waiting_on",
)
#: A wait that is over at once would be looked at again in the same pass, for ever.
SHORTEST_WAIT = timedelta(seconds=1)


def open_journeys() -> QuerySet[Journey]:
    """Open journeys with all that planning reads."""
    return (
        Journey.objects.filter(status__in=OPEN)
        .select_related(*RELATED)
        .prefetch_related("version__steps", "version__triggers")
    )


def locked(journeys: QuerySet[Journey], *, skip_locked: bool = False) -> QuerySet[Journey]:
    """The same, each row held until the transaction ends, in one order.

    `skip_locked`: leave out what somebody else holds, instead of waiting for it.
    """
    if not skip_locked:
        journeys = journeys.order_by("id")  # whoever waits, waits in the same order
    return journeys.select_for_update(no_key=True, of=("self",), skip_locked=skip_locked)


def start(
    *,
    version: SequenceVersion,
    event: AttendanceEvent,
    entry_key: str,
    enter: Enter,
    world: World,
) -> Journey:
    """Begin a journey for the fact's learner and plan its first step, with the caller's commit.

    The table's unique constraints refuse a second journey of the same key and round.
    """
    journey = unkept(version=version, event=event, world=world)
    journey.entry_key, journey.round, journey.slot = entry_key, enter.round, enter.slot
    journey.save(force_insert=True)
    world.tally.journeys += 1
    world.notes.add(
        learner_id=journey.learner_id,
        code=Reason.ENTERED,
        now=world.now,
        journey=journey,
        inputs={"fact": event.kind, "class": event.session_id, "round": enter.round},
        event=event,
    )
    plan_next(journey=journey, world=world, current="")
    return journey


def unkept(*, version: SequenceVersion, event: AttendanceEvent, world: World) -> Journey:
    """The journey that would begin now, not written."""
    return Journey(
        sequence=version.sequence,
        version=version,
        learner=event.learner,
        session=event.session,
        course=event.session.course,
        cause=event,
        anchor_at=world.now,
        next_action_at=world.now,
        started_at=world.now,
    )


def situation_of(journey: Journey, world: World) -> Situation | Reason:
    """What planning needs of a journey, or why nothing may be sent to its learner any more."""
    contact = world.contact_of(journey.learner_id)
    spec = world.spec(journey.version)
    silent = why_silent(contact, spec.category)
    if silent is not None or contact is None:
        return silent or Reason.NO_CONTACT
    return Situation(journey=journey, contact=contact, spec=spec, world=world)


def plan_next(*, journey: Journey, world: World, current: str, waited: str = "") -> None:
    """Decide what the journey does from the step `current` on, and write it.

    "" is the first step; `waited` is what ended a wait: an event, or "time". The caller holds the
    row and commits; `world.notes` are the caller's to write.
    """
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        exit_journey(journey=journey, reason=found, now=world.now, notes=world.notes)
        return
    waiting = found.step(current) if waited else None
    if waiting is not None and waiting.kind == StepKind.WAIT:
        journey.anchor_at = world.now  # the next step counts from the end of this wait
    step_key: str | None = current
    while step_key is not None:
        step_key = _take_step(found, step_key, waited)
        waited = ""


def _take_step(here: Situation, current: str, waited: str) -> str | None:
    """Carry out one decision; return the step to go on with where it could not be done."""
    journey, world = here.journey, here.world
    decision = here.decide(current=current, waited=waited)
    journey.steps_taken += 1 + len(decision.trail)
    for trace in decision.trail:
        world.notes.of_journey(
            journey, trace.code, world.now, step_key=trace.step_key, inputs=dict(trace.inputs)
        )
    _apply(here, decision.effects)
    match decision.action:
        case Send() as send:
            return _owe(here, send)
        case WaitUntil() as wait:
            _wait(here, wait)
        case End(event=event, reason=reason):
            _end(here, event, reason)
    return None


def _owe(here: Situation, send: Send) -> str | None:
    """Write the delivery of a step; return the next step's key where its text cannot be made."""
    journey, world = here.journey, here.world
    step = here.step(send.step_key)
    assert step is not None, "the core names steps of this version"
    try:
        text = here.render(step)
    except texts.TextError as error:
        missing = isinstance(error, texts.MissingVariable)
        code = Reason.VARIABLE_MISSING if missing else Reason.TEXT_REFUSED
        said = {"variable" if missing else "error": str(error)}
        world.notes.of_journey(journey, code, world.now, step_key=step.key, inputs=said)
        return _pass_over(here, step.key)
    assert here.contact.chat is not None, "silent learners have left before"
    row = delivery.enqueue(
        chat=here.contact.chat,
        text=text,
        dedupe_key=f"journey:{journey.pk}:{step.key}:{journey.steps_taken}",
        due_at=send.due_at,
        expires_at=send.expires_at,
        stream=here.spec.slug,
        category=here.spec.category,
        window=here.hours(send.due_at),
        buttons=step.buttons,
        priority=here.spec.priority,
        cap_per_day=here.spec.cap_per_day,
        is_test=journey.is_test,
    )
    world.tally.deliveries += 1
    world.notes.of_journey(
        journey,
        Reason.STEP_PLANNED,
        world.now,
        step_key=step.key,
        inputs={"due_at": send.due_at.isoformat()},
        delivery=row,
    )
    journey.step_key, journey.waiting_on, journey.next_action_at = step.key, row, None
    _save_plan(journey)
    return None


def _pass_over(here: Situation, step_key: str) -> str | None:
    """The step after one that could not be made; the journey is done where there is none."""
    here.world.notes.of_journey(
        here.journey, Reason.STEP_SKIPPED, here.world.now, step_key=step_key
    )
    following = here.after(step_key)
    if following is None:
        _end(here, Event.FINISH, "")
    return following


def _wait(here: Situation, wait: WaitUntil) -> None:
    journey, world = here.journey, here.world
    at = max(wait.at, world.now + SHORTEST_WAIT)
    journey.step_key, journey.waiting_on, journey.next_action_at = wait.step_key, None, at
    _save_plan(journey)
    world.notes.of_journey(
        journey,
        Reason.WAITING,
        world.now,
        step_key=wait.step_key,
        inputs={"until": at.isoformat()} | ({"event": wait.event} if wait.event else {}),
    )


def _end(here: Situation, event: Event, reason: str) -> None:
    journey, world = here.journey, here.world
    if event == Event.EXIT:  # the trail has the reason
        end(journey=journey, status=JourneyStatus.EXITED, reason=reason, now=world.now)
        return
    end(journey=journey, status=JourneyStatus.COMPLETED, reason="", now=world.now)
    world.notes.of_journey(journey, Reason.COMPLETED, world.now)


def _save_plan(journey: Journey) -> None:
    journey.save(
        update_fields=[
            "status",
            "step_key",
            "anchor_at",
            "waiting_on",
            "next_action_at",
            "steps_taken",
        ]
    )


def _apply(here: Situation, effects: Iterable[AddTag | RemoveTag | HandOver]) -> None:
    """Do what steps without a message do."""
    for effect in effects:
        match effect:
            case AddTag(name=name):
                ContactTag.objects.get_or_create(contact=here.contact, name=name)
            case RemoveTag(name=name):
                ContactTag.objects.filter(contact=here.contact, name=name).delete()
            case HandOver(to=to, note=note):
                _hand_over(here, to, note)


def _hand_over(here: Situation, to: str, note: str) -> None:
    StaffTask.objects.bulk_create(
        [
            StaffTask(
                kind=TaskKind.HANDOVER,
                key=f"handover:journey:{here.journey.pk}:{here.journey.steps_taken}",
                learner_id=here.journey.learner_id,
                journey=here.journey,
                note=f"{to}: {note}" if to else note,
                created_at=here.world.now,
            )
        ],
        ignore_conflicts=True,
    )


def continue_after(*, journey: Journey, settled: Delivery, world: World) -> None:
    """A step's delivery has come to its end: the next one counts from that moment."""
    assert settled.settled_at is not None, "only settled deliveries are observed"
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        exit_journey(journey=journey, reason=found, now=world.now, notes=world.notes)
        return
    following = found.after(journey.step_key)
    if following is None:
        _end(found, Event.FINISH, "")
        return
    journey.anchor_at = settled.settled_at
    plan_next(journey=journey, world=world, current=following)


def replan(*, journey: Journey, reason: str, world: World) -> bool:
    """Withdraw the planned message of an active journey and decide about its step anew.

    Returns False, and does nothing, where the message is on the wire or gone already.
    """
    if journey.status != JourneyStatus.ACTIVE or not withdraw(journey=journey, reason=reason):
        return False
    plan_next(journey=journey, world=world, current=journey.step_key)
    return True


@transaction.atomic
def pause(*, journey: Journey, reason: str = Reason.PAUSED_BY_STAFF, now: datetime) -> bool:
    """Hold an active journey; its unsent message is withdrawn and planned again by `resume`.

    Returns False where it is not active. Safe to run twice.
    """
    row = locked(Journey.objects.filter(pk=journey.pk, status=JourneyStatus.ACTIVE)).first()
    if row is None:
        return False
    world = World(now=now)
    if withdraw(journey=row, reason=delivery_reasons.Reason.WITHDRAWN):
        row.waiting_on = None
    row.status, row.next_action_at = JourneyStatus.PAUSED, None
    _save_plan(row)
    world.notes.of_journey(row, reason, now, step_key=row.step_key)
    world.notes.write()
    return True


@transaction.atomic
def resume(*, journey: Journey, now: datetime) -> bool:
    """Let a paused journey go on from where it was held; False where it is not paused.

    What was sent while it was held counts as done. Safe to run twice.
    """
    rows = open_journeys().filter(pk=journey.pk, status=JourneyStatus.PAUSED)
    row = locked(rows).first()
    if row is None:
        return False
    world = World(now=now)
    world.notes.of_journey(row, Reason.RESUMED, now, step_key=row.step_key)
    row.status = JourneyStatus.ACTIVE
    if row.waiting_on is None:
        plan_next(journey=row, world=world, current=row.step_key)
    elif row.waiting_on.settled_at is None:
        _save_plan(row)
    else:
        continue_after(journey=row, settled=row.waiting_on, world=world)
    world.notes.write()
    return True


@transaction.atomic
def answered_pledge(*, learner: Learner, session: ClassSession, now: datetime) -> int:
    """A learner said whether they come: withdraw planned messages whose condition fell by it.

    A condition is frozen when its step is planned, but what a learner has just told us must not
    be asked again (docs/decisions/0002). Returns how many were withdrawn; safe to run twice.
    """
    world = World(now=now)
    rows = open_journeys().filter(
        learner=learner, course=session.course_id, status=JourneyStatus.ACTIVE,
        waiting_on__isnull=False,
    )  # fmt: skip
    moved = 0
    for journey in locked(rows):
        found = situation_of(journey, world)
        if isinstance(found, Reason):
            continue
        step = found.step(journey.step_key)
        if step is None or step.when is None or conditions.holds(step.when, found.facts):
            continue
        moved += _thaw(journey, world)
    world.notes.write()
    return moved


def _thaw(journey: Journey, world: World) -> bool:
    """Withdraw a message whose condition fell, say so, and plan on."""
    withdrawn = journey.waiting_on
    changed = delivery_reasons.Reason.CONDITION_CHANGED
    if not withdraw(journey=journey, reason=changed):
        return False
    world.notes.of_journey(
        journey,
        Reason.CONDITION_CHANGED,
        world.now,
        step_key=journey.step_key,
        delivery=withdrawn,
    )
    plan_next(journey=journey, world=world, current=journey.step_key)
    return True


def counts_back(journey: Journey, world: World) -> bool:
    """Whether the journey's present step counts back from the next class."""
    steps = world.spec(journey.version).steps
    return any(
        step.key == journey.step_key and step.wait.kind == WaitKind.BEFORE_NEXT_SESSION
        for step in steps
    )
