"""Journeys: begin, and plan what comes next."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.db.models import QuerySet

from attendance.models import AttendanceEvent
from config import telemetry
from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.models import Delivery
from nurture import texts
from nurture.domain.conditions import answers
from nurture.domain.entry import Enter
from nurture.domain.journey import (
    AddTag,
    Effect,
    Event,
    HandOver,
    RemoveTag,
    Send,
    Trace,
    WaitUntil,
)
from nurture.domain.reasons import Reason
from nurture.domain.sequence import Capped, Mode, StepKind, WaitKind
from nurture.models import OPEN, Journey, JourneyStatus, SequenceVersion, StaffTask, TaskKind
from nurture.services.endings import end, exit_journey, withdraw
from nurture.services.situation import Situation
from nurture.services.world import World, why_silent

RELATED = ("learner", "session__course", "course", "cause__outcome")
#: A wait that is over at once would be looked at again in the same pass, for ever.
SHORTEST_WAIT = timedelta(seconds=1)


def open_journeys() -> QuerySet[Journey]:
    """Open journeys with all that planning reads.

    The message in a statement of its own: who waited for a row sees what it waits on by then. A
    joined one would be the one of before.
    """
    rows = Journey.objects.filter(status__in=OPEN).select_related(*RELATED)
    return rows.prefetch_related("waiting_on")


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
    """Begin a journey for the fact's learner and plan its first step; the caller writes it.

    The table's unique constraints refuse a second journey of the same key and round.
    """
    journey = unkept(version=version, event=event, world=world)
    journey.entry_key, journey.round, journey.slot = entry_key, enter.round, enter.slot
    world.writes.start(journey)
    world.writes.note(
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
        dry_run=version.sequence.mode == Mode.DRY_RUN,
        anchor_at=world.now,
        next_action_at=world.now,
        started_at=world.now,
        trace=event.trace,
    )


def situation_of(journey: Journey, world: World) -> Situation | Reason:
    """What planning needs of a journey, or why nothing may be sent to its learner any more."""
    contact = world.contact_of(journey.learner_id)
    spec = world.spec(journey.version_id)
    silent = why_silent(contact, spec.category)
    if silent is not None or contact is None:
        return silent or Reason.NO_CONTACT
    return Situation(journey=journey, contact=contact, spec=spec, world=world)


def plan_next(*, journey: Journey, world: World, current: str, waited: str = "") -> None:
    """Decide what the journey does from the step `current` on.

    "" is the first step; `waited` is what ended a wait: an event, or "time". The caller holds the
    row, and writes `world.writes`.
    """
    with (
        telemetry.bound(journey_id=journey.pk),
        telemetry.span("nurture.plan", parent=journey.trace, journey_id=journey.pk),
    ):
        _plan(journey, world, current, waited)


def _plan(journey: Journey, world: World, current: str, waited: str) -> None:
    change_version(journey, world, at=current)
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        exit_journey(journey=journey, reason=found, world=world)
        return
    if current and current == journey.step_key and not waited:
        journey.replans += 1  # the same step once more, for which it has paid already
    waiting = found.step(current) if waited else None
    if waiting is not None and waiting.kind == StepKind.WAIT:
        journey.anchor_at = world.now  # the next step counts from the end of this wait
    step_key: str | None = current
    while step_key is not None:
        step_key = _take_step(found, step_key, waited)
        waited = ""


def change_version(journey: Journey, world: World, *, at: str) -> None:
    """Let a journey go on by the version it is to move to, if that has the step `at`."""
    newer = journey.moves_to
    if newer is None or all(step.key != at for step in world.spec(newer.pk).steps):
        return
    before = world.spec(journey.version_id)
    journey.version, journey.moves_to = newer, None
    world.writes.note_of(
        journey, Reason.MOVED, world.now, step_key=at, inputs={"sequence": before.slug}
    )
    world.writes.change(journey)


def _take_step(here: Situation, current: str, waited: str) -> str | None:
    """Carry out one decision; return the step to go on with where it could not be done."""
    decision = here.decide(current=current, waited=waited)
    here.journey.steps_taken += 1
    here.journey.anchor_at = decision.anchor or here.journey.anchor_at
    passed(here, decision.trail, decision.effects)
    match decision.action:
        case Send() as send:
            return _owe(here, send)
        case WaitUntil() as wait:
            _wait(here, wait)
        case over:
            finish(here, over.event, over.reason)
    return None


def passed(here: Situation, trail: Iterable[Trace], effects: Iterable[Effect]) -> None:
    """Note the steps that were passed, and do what they ask for."""
    for trace in trail:
        here.journey.steps_taken += 1
        here.world.writes.note_of(
            here.journey,
            trace.code,
            here.world.now,
            step_key=trace.step_key,
            inputs=dict(trace.inputs),
        )
    for effect in effects if not here.journey.dry_run else ():
        match effect:
            case AddTag(name=name):
                _tag(here, name, on=True)
            case RemoveTag(name=name):
                _tag(here, name, on=False)
            case HandOver(to=to, note=note):
                _hand_over(here, to, note)


def _tag(here: Situation, name: str, *, on: bool) -> None:
    tags = here.world.tags_of(here.contact)  # what is planned later in this pass sees it
    if on:
        tags.add(name)
    else:
        tags.discard(name)
    here.world.writes.tag(here.contact.pk, name, on=on)


def _hand_over(here: Situation, to: str, note: str) -> None:
    task = StaffTask(
        kind=TaskKind.HANDOVER,
        key=f"handover:journey:{here.journey.pk}:{here.journey.steps_taken}",
        learner_id=here.journey.learner_id,
        journey=here.journey,
        note=f"{to}: {note}" if to else note,
        created_at=here.world.now,
    )
    here.world.writes.ask([task])


def _owe(here: Situation, send: Send) -> str | None:
    """Plan the delivery of a step; return the next step's key where its text cannot be made."""
    journey, world = here.journey, here.world
    step = here.step(send.step_key)
    assert step is not None, "the core names steps of this version"
    try:
        text = here.render(step, at=send.due_at)
    except texts.TextError as error:
        missing = isinstance(error, texts.MissingVariable)
        code = Reason.VARIABLE_MISSING if missing else Reason.TEXT_REFUSED
        said = {"variable" if missing else "error": str(error)}
        world.writes.note_of(journey, code, world.now, step_key=step.key, inputs=said)
        return _pass_over(here, step.key)
    row = _draft(here, send, text)
    world.writes.owe(row)
    world.writes.note_of(
        journey,
        Reason.STEP_PLANNED,
        world.now,
        step_key=step.key,
        inputs={"due_at": send.due_at.isoformat(), **answers(step.when, here.facts)},
        delivery=row,
    )
    journey.step_key, journey.waiting_on, journey.next_action_at = step.key, row, None
    world.writes.change(journey)
    return None


def _draft(here: Situation, send: Send, text: str) -> Delivery:
    step = here.step(send.step_key)
    assert step is not None, "the core names steps of this version"
    assert here.contact.chat is not None, "silent learners have left before"
    pretends = here.journey.dry_run
    return delivery.draft(
        chat=here.contact.chat,
        text=text,
        dedupe_key=f"journey:{here.journey.pk}:{step.key}:{here.journey.steps_taken}",
        due_at=send.due_at,
        expires_at=here.expires_at(step, send),
        stream=delivery.dry_stream(here.spec.slug) if pretends else here.spec.slug,
        category=here.spec.category,
        window=here.hours(send.due_at),
        buttons=step.buttons,
        priority=here.spec.priority,
        cap_per_day=here.spec.cap_per_day,
        cap_defers=here.spec.capped is Capped.DEFER,
        is_test=here.journey.is_test or pretends,  # counts nowhere
    )


def _pass_over(here: Situation, step_key: str) -> str | None:
    """The step after one that could not be made; the journey is done where there is none."""
    here.world.writes.note_of(here.journey, Reason.STEP_SKIPPED, here.world.now, step_key=step_key)
    following = here.after(step_key)
    if following is None:
        finish(here, Event.FINISH)
    return following


def _wait(here: Situation, wait: WaitUntil) -> None:
    journey, world = here.journey, here.world
    at = max(wait.at, world.now + SHORTEST_WAIT)
    journey.step_key, journey.waiting_on, journey.next_action_at = wait.step_key, None, at
    world.writes.change(journey)
    world.writes.note_of(
        journey,
        Reason.WAITING,
        world.now,
        step_key=wait.step_key,
        inputs={"until": at.isoformat()} | ({"event": wait.event} if wait.event else {}),
    )


def finish(here: Situation, event: Event, reason: str = "") -> None:
    """The journey has come to its own end; where a step ended it, the trail has the reason."""
    if event == Event.EXIT:
        end(journey=here.journey, status=JourneyStatus.EXITED, reason=reason, world=here.world)
        return
    end(journey=here.journey, status=JourneyStatus.COMPLETED, reason="", world=here.world)
    here.world.writes.note_of(here.journey, Reason.COMPLETED, here.world.now)


def continue_after(*, journey: Journey, settled: Delivery, world: World) -> None:
    """A step's delivery has come to its end: the next one counts from that moment."""
    assert settled.settled_at is not None, "only settled deliveries are observed"
    found = situation_of(journey, world)
    if isinstance(found, Reason):
        exit_journey(journey=journey, reason=found, world=world)
        return
    following = found.after(journey.step_key)
    if following is None:
        finish(found, Event.FINISH)
        return
    journey.anchor_at = settled.settled_at
    plan_next(journey=journey, world=world, current=following)


def replan(*, journey: Journey, why: Reason, world: World) -> bool:
    """Withdraw the planned message of an active journey, note why, and decide about its step anew.

    Returns False, and does nothing, where the message is on the wire or gone already.
    """
    if journey.status != JourneyStatus.ACTIVE:
        return False
    planned, withdrawn = journey.waiting_on, delivery_reasons.Reason.WITHDRAWN
    if not withdraw(journey=journey, reason=withdrawn, world=world):
        return False
    world.writes.note_of(journey, why, world.now, step_key=journey.step_key, delivery=planned)
    waited = "time" if planned and was_in_time(journey, planned, world) else ""
    plan_next(journey=journey, world=world, current=journey.step_key, waited=waited)
    return True


def was_in_time(journey: Journey, planned: Delivery, world: World) -> bool:
    """Whether the moment before the class has gone by while its message waited for its hours.

    The class must be the one that it was planned for: another one has a moment of its own. Such
    a step is planned on with `waited="time"`; decided about from its wait it would be past.
    """
    here, following = situation_of(journey, world), world.next_session(journey.course_id)
    step = None if isinstance(here, Reason) else here.step(journey.step_key)
    if step is None or following is None or step.wait.kind != WaitKind.BEFORE_NEXT_SESSION:
        return False
    of_use_until = following.starts_at
    if step.expires is not None:
        of_use_until = min(of_use_until, planned.due_at + step.expires)
    return (
        planned.expires_at == of_use_until and following.starts_at - step.wait.duration < world.now
    )


def thaw(*, journey: Journey, world: World) -> bool:
    """Withdraw a message whose condition fell, say so, and plan on."""
    withdrawn = journey.waiting_on
    changed = delivery_reasons.Reason.CONDITION_CHANGED
    if not withdraw(journey=journey, reason=changed, world=world):
        return False
    world.writes.note_of(
        journey,
        Reason.CONDITION_CHANGED,
        world.now,
        step_key=journey.step_key,
        delivery=withdrawn,
    )
    plan_next(journey=journey, world=world, current=journey.step_key)
    return True


def hangs_on_next_class(journey: Journey, world: World) -> bool:
    """Whether the journey's present step counts back from the next class, or its text names it."""
    here = situation_of(journey, world)
    step = None if isinstance(here, Reason) else here.step(journey.step_key)
    if step is None or isinstance(here, Reason):
        return False
    counts_back = step.wait.kind == WaitKind.BEFORE_NEXT_SESSION
    return counts_back or (journey.waiting_on is not None and here.names_next_class(step))
