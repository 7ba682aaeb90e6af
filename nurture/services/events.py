"""From facts of attendance to journeys: what ends, what goes on, who enters, and why not."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from attendance import services as attendance
from attendance.models import AttendanceEvent
from nurture.domain.catching_up import Policy
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Journey, JourneyStatus, PledgeQuestion, SequenceVersion
from nurture.services.admission import CORRECTED, Admission, Flags
from nurture.services.asking import answered, take_back
from nurture.services.corrections import is_disputed, retract
from nurture.services.endings import exit_journey
from nurture.services.guard import all_at_once, one_event, one_journey
from nurture.services.holding import go_on
from nurture.services.journeys import (
    RELATED,
    hangs_on_next_class,
    locked,
    open_journeys,
    plan_next,
    replan,
    situation_of,
)
from nurture.services.situation import concerns
from nurture.services.tally import Tally
from nurture.services.world import World

UPHELD, PLEDGED = "upheld", "pledged"
MOVES = frozenset({"session_moved", "session_cancelled"})


@dataclass
class _Batch:
    """What the facts of one pass need, read once."""

    world: World
    events: list[AttendanceEvent]
    admission: Admission
    versions: list[SequenceVersion]
    #: By learner; those that were open when the pass began, and those that it began.
    journeys: dict[int, list[Journey]] = field(default_factory=lambda: defaultdict(list))


def process_events(*, now: datetime, limit: int = 500, tally: Tally | None = None) -> int:
    """Act on up to `limit` facts that nobody acted on yet; return how many.

    Exit rules come first, then every sequence that asks for the fact, by priority; each either
    begins a journey, with its first message planned, or leaves one decision that says why not.
    All of it and the marks on the facts are one transaction. Safe to run twice and in many
    workers: facts are claimed with SKIP LOCKED, and what concerns one learner is serialised by
    the lock on the contact. A fact that breaks is undone alone and given to staff.
    """
    total = tally or Tally()
    with transaction.atomic():
        events = attendance.claim_events(limit=limit)
        if not events:
            return 0
        world = World(now=now)
        if not all_at_once(lambda: _act_on(_read(events, world)), world=world):
            for event in events:
                world = World(now=now)
                with one_event(event, world):
                    _act_on(_read([event], world))
                total.add(world.writes)
        else:
            total.add(world.writes)
        attendance.mark_processed(events=events, now=now)
    return len(events)


def _read(events: list[AttendanceEvent], world: World) -> _Batch:
    learners = {event.learner_id for event in events}
    world.load_contacts(learners, lock=True)
    batch = _Batch(
        world=world,
        events=events,
        admission=Admission(world=world, flags=Flags()),
        versions=world.published(),
    )
    for journey in locked(open_journeys().filter(learner__in=learners)):
        batch.journeys[journey.learner_id].append(journey)
    world.read(row for rows in batch.journeys.values() for row in rows)
    batch.admission.read(events, batch.journeys)
    return batch


def _act_on(batch: _Batch) -> None:
    for event in batch.events:
        _act(batch, event)
    _take_questions_back(batch)


def _take_questions_back(batch: _Batch) -> None:
    """What is asked about a class that moved or is called off, or is answered already."""
    now, moved = batch.world.now, {e.session_id for e in batch.events if e.kind in MOVES}
    if moved:
        rows = PledgeQuestion.objects.filter(session__in=moved)
        take_back(rows, code=Reason.TAKEN_BACK, now=now)
    said = [event for event in batch.events if event.kind == PLEDGED]
    if said:
        rows = PledgeQuestion.objects.filter(
            learner__in={event.learner_id for event in said},
            session__in={event.session_id for event in said},
        )
        take_back(rows.filter(answered()), code=Reason.PLEDGE_KNOWN, now=now)


def _act(batch: _Batch, event: AttendanceEvent) -> None:
    if event.kind == CORRECTED:
        _correct(batch, event)
        return
    if event.kind == UPHELD:
        _go_on(batch, event)
        return
    for journey in batch.journeys.get(event.learner_id, []):
        if journey.status in OPEN and not _leave(journey, event, batch.world):
            _stir(journey, event, batch.world)
    for version in batch.versions:
        if any(trigger.fact == event.kind for trigger in batch.world.spec(version.pk).triggers):
            journey_or_none = batch.admission.consider(version=version, event=event)
            if journey_or_none is not None:
                batch.journeys[event.learner_id].append(journey_or_none)


def _correct(batch: _Batch, event: AttendanceEvent) -> None:
    """Everything that this class caused for this learner is taken back, ended journeys too.

    And what is under way since it was one of so many in a row.
    """
    mine = [
        journey
        for journey in batch.journeys.get(event.learner_id, [])
        if journey.session_id == event.session_id or batch.admission.row_is_broken(journey, event)
    ]
    over = (
        Journey.objects.filter(learner=event.learner_id, session=event.session_id)
        .exclude(pk__in=[journey.pk for journey in mine])
        .select_related(*RELATED, "sequence")
    )
    retract(journeys=[*mine, *over], world=batch.world, corrected=event.session)


def _go_on(batch: _Batch, event: AttendanceEvent) -> None:
    """What was held since the learner doubted this class goes on: a person found it right."""
    for journey in batch.journeys.get(event.learner_id, []):
        if journey.session_id == event.session_id and is_disputed(journey):
            go_on(journey=journey, policy=Policy.LATEST, world=batch.world)


def _leave(journey: Journey, event: AttendanceEvent, world: World) -> bool:
    """End a journey whose exit rules name this fact; return whether it ended."""
    asked = world.spec(journey.version_id).exit_when
    if event.kind not in asked or not _is_since_entry(journey, event):
        return False
    return exit_journey(journey=journey, reason=Reason.EXIT_FACT, world=world)


def _is_since_entry(journey: Journey, event: AttendanceEvent) -> bool:
    return event.recorded_at >= journey.facts_from and concerns(
        journey, course_id=event.session.course_id, occurred_at=event.occurred_at
    )


def _stir(journey: Journey, event: AttendanceEvent, world: World) -> None:
    """Move on what waits for this fact, and plan anew what hangs on a class that moved.

    One that is held, or whose message is on its way, looks back when it gets there.
    """
    if journey.status != JourneyStatus.ACTIVE:
        return
    moved = event.kind in MOVES and journey.course_id == event.session.course_id
    if moved and hangs_on_next_class(journey, world):
        if journey.waiting_on is None:
            plan_next(journey=journey, world=world, current=journey.step_key)
        else:
            replan(journey=journey, why=Reason.CLASS_CHANGED, world=world)
    elif _is_since_entry(journey, event) and _waits_for(journey, event.kind, world):
        _end_wait(journey, event.kind, world)


def _end_wait(journey: Journey, fact: str, world: World) -> None:
    """What a journey waited for has come: plan on, or as soon as nurture is on again."""
    if world.nurture_is_on:
        plan_next(journey=journey, world=world, current=journey.step_key, waited=fact)
    else:
        journey.next_action_at = world.now
        world.writes.change(journey)


def _waits_for(journey: Journey, fact: str, world: World) -> bool:
    if journey.waiting_on is not None:
        return False
    found = situation_of(journey, world)
    return not isinstance(found, Reason) and found.waits_for() == fact


@transaction.atomic
def learner_did(*, learner_id: int, fact: str, now: datetime) -> int:
    """End or move on the learner's open journeys by what is no fact of attendance.

    `replied`: exit rules first, then waits for it; `opted_out` ends every journey. Returns how
    many ended or went on. Safe to run twice: a wait that is over waits no more. A journey that
    breaks is held alone and given to staff, so that the learner still gets their answer.
    """
    world = World(now=now)
    rows = list(locked(open_journeys().filter(learner=learner_id)))
    world.read(rows)
    moved: list[bool] = []
    if all_at_once(lambda: moved.extend(_heed(row, fact, world) for row in rows), world=world):
        return sum(moved)
    moved = []
    for row in open_journeys().filter(pk__in=[row.pk for row in rows]).order_by("id"):
        alone = World(now=now)
        with one_journey(row, alone):
            moved.append(_heed(row, fact, alone))
    return sum(moved)


def _heed(journey: Journey, fact: str, world: World) -> bool:
    if fact == Reason.OPTED_OUT or fact in world.spec(journey.version_id).exit_when:
        reason = Reason.OPTED_OUT if fact == Reason.OPTED_OUT else Reason.EXIT_FACT
        return exit_journey(journey=journey, reason=reason, world=world)
    if journey.status != JourneyStatus.ACTIVE or not _waits_for(journey, fact, world):
        return False
    _end_wait(journey, fact, world)
    return True
