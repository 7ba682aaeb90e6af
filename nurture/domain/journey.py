"""The journey machine: which changes are legal, and what a journey does next. Nothing else decides.

No clock, no row, no setting: `now` and everything else is passed in, so simulation, forecast and
explanation ask the same function as production.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

from nurture.domain.conditions import ConditionFacts, answers, holds
from nurture.domain.reasons import Reason
from nurture.domain.schedule import (
    DueAt,
    NoSession,
    Past,
    Quiet,
    UntilEvent,
    due_at,
    next_opening,
)
from nurture.domain.sequence import Hours, Step, StepKind, WaitKind, Window

#: A journey that has taken this many steps goes round in a circle.
MAX_STEPS = 100


class Status(StrEnum):
    """What a journey may be."""

    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    EXITED = "exited"


class Event(StrEnum):
    """What may happen to it."""

    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    EXIT = "exit"


TRANSITIONS: Mapping[tuple[Status, Event], Status] = {
    (Status.ACTIVE, Event.PAUSE): Status.PAUSED,
    (Status.ACTIVE, Event.FINISH): Status.COMPLETED,
    (Status.ACTIVE, Event.EXIT): Status.EXITED,
    (Status.PAUSED, Event.RESUME): Status.ACTIVE,
    (Status.PAUSED, Event.EXIT): Status.EXITED,
}


class IllegalTransitionError(ValueError):
    """The event is not allowed in the journey's present status."""


def transition(status: Status, event: Event) -> Status:
    """The status that follows `event`; raises IllegalTransitionError if there is none."""
    try:
        return TRANSITIONS[status, event]
    except KeyError:
        raise IllegalTransitionError(f"cannot {event} a journey that is {status}") from None


@dataclass(frozen=True, kw_only=True)
class Send:
    """Owe the message of this step; `due_at` has the window applied."""

    step_key: str
    due_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class WaitUntil:
    """Do nothing before `at`, or before `event` comes if one is named."""

    step_key: str
    at: datetime
    event: str = ""


@dataclass(frozen=True, kw_only=True)
class End:
    """The journey is over."""

    event: Event
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """A step that was passed, and why."""

    step_key: str
    code: Reason
    inputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AddTag:
    """Put a tag on the contact."""

    name: str


@dataclass(frozen=True, kw_only=True)
class RemoveTag:
    """Take a tag off the contact."""

    name: str


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """Ask a person."""

    to: str = ""
    note: str = ""


Effect = AddTag | RemoveTag | HandOver
Action = Send | WaitUntil | End


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a journey does next, what was passed on the way, and what else is to be done."""

    action: Action
    trail: tuple[Trace, ...] = ()
    effects: tuple[Effect, ...] = ()
    #: From when the step of the action counts; no part of what is decided.
    anchor: datetime | None = field(default=None, compare=False)
    #: The event that a step on the way waited for and that came, in time or not.
    heard: str = field(default="", compare=False)


#: When an event first came after a moment; None if it did not.
Came = Callable[[str, datetime], datetime | None]


def never(_event: str, _since: datetime) -> None:
    """Nothing came."""


def decide(
    *,
    steps: Sequence[Step],
    current: str,
    facts: ConditionFacts,
    anchor: datetime,
    zone: ZoneInfo,
    window: Window | None,
    quiet: Quiet | None,
    next_session: datetime | None,
    now: datetime,
    steps_taken: int,
    bucket: float,
    waited: str = "",
    hours: Hours = Hours.HOLD,
    came: Came = never,
) -> Decision:
    """Say what a journey does from the step `current` on ("" is the first).

    `anchor`: when the step before it settled. `waited` names what ended the wait of `current`
    (an event, or its time): the step is then due now. `bucket`: the learner's sticky draw in
    [0, 100), for splits. `hours`: what becomes of messages outside window and quiet hours. `came`:
    a step need not wait for what has happened since `anchor`. Steps that are passed over are in the
    trail, each with its reason.
    """
    walk = _Walk(
        steps=steps, facts=facts, anchor=anchor, zone=zone, window=window, quiet=quiet,
        next_session=next_session, now=now, bucket=bucket, hours=hours, came=came,
    )  # fmt: skip
    position = walk.position_of(current) if current else 0
    action: Action | None = None
    taken = steps_taken
    while action is None:
        if position >= len(steps):
            action = End(event=Event.FINISH)
        elif taken >= MAX_STEPS:
            walk.note(steps[position], Reason.STEP_BUDGET, steps=taken)
            action = End(event=Event.EXIT, reason=Reason.STEP_BUDGET)
        else:
            position, action = walk.take(position, waited=waited)
            waited = ""
            taken += 1
    return Decision(
        action=action, anchor=walk.anchor, trail=tuple(walk.trail), effects=tuple(walk.effects),
        heard=walk.heard,
    )  # fmt: skip


@dataclass(kw_only=True)
class _Walk:
    """One walk over the steps, until there is something to do."""

    steps: Sequence[Step]
    facts: ConditionFacts
    anchor: datetime
    zone: ZoneInfo
    window: Window | None
    quiet: Quiet | None
    next_session: datetime | None
    now: datetime
    bucket: float
    hours: Hours
    came: Came
    heard: str = ""
    trail: list[Trace] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)

    def position_of(self, key: str) -> int:
        """Where the step of this key stands; behind the last if there is none."""
        keys = [step.key for step in self.steps]
        return keys.index(key) if key in keys else len(keys)

    def note(self, step: Step, code: Reason, **inputs: Any) -> None:
        """Write down why a step was passed."""
        self.trail.append(Trace(step_key=step.key, code=code, inputs=inputs))

    def take(self, position: int, *, waited: str) -> tuple[int, Action | None]:
        """Consider one step: the next position, and the action if there is one."""
        step = self.steps[position]
        if not step.enabled:
            self.note(step, Reason.STEP_DISABLED)
            return position + 1, None
        due = self._due(step, waited=waited)
        if due is None:
            return position + 1, None
        if step.when is not None and not holds(step.when, self.facts):
            self.note(step, Reason.CONDITION_FALSE, **answers(step.when, self.facts))
            return position + 1, None
        if step.kind is StepKind.MESSAGE and isinstance(due, DueAt):
            return position + 1, self._message(step, due.at)
        if isinstance(due, UntilEvent):
            return position, WaitUntil(step_key=step.key, at=due.at, event=step.wait.event)
        if due.at > self.now:
            return position, WaitUntil(step_key=step.key, at=due.at)
        self.anchor = due.at  # the step is done: what follows counts from here
        return self._act(step, position)

    def _due(self, step: Step, *, waited: str) -> DueAt | UntilEvent | None:
        """When the step is due; None if its moment is gone or never comes."""
        if waited and not self._waits_for_another_class(step):
            return DueAt(self.now)
        due = due_at(
            step.wait, anchor=self.anchor, zone=self.zone, next_session=self.next_session,
            now=self.now,
        )  # fmt: skip
        if isinstance(due, Past):
            self.note(step, Reason.PAST_MOMENT, moment=due.at.isoformat())
            return None
        if isinstance(due, NoSession):
            self.note(step, Reason.NO_NEXT_SESSION)
            return None
        return self._until(step, due) if isinstance(due, UntilEvent) else due

    def _waits_for_another_class(self, step: Step) -> bool:
        """Whether the class before which it waited has begun, and the next has its moment yet."""
        if step.kind is StepKind.MESSAGE or step.wait.kind is not WaitKind.BEFORE_NEXT_SESSION:
            return False
        following = self.next_session
        return following is not None and following - step.wait.duration > self.now

    def _until(self, step: Step, due: UntilEvent) -> DueAt | UntilEvent:
        """The end of a wait for an event, if it came since the step before and in time."""
        came = self.came(step.wait.event, self.anchor)
        if came is None:
            return due
        self.heard = step.wait.event
        return DueAt(came) if came <= due.at else due

    def _message(self, step: Step, at: datetime) -> Send | None:
        moment = max(at, self.now)
        opening = next_opening(moment, window=self.window, quiet=self.quiet, zone=self.zone)
        if opening is None:
            self.note(step, Reason.WINDOW_NEVER_OPENS)
            return None
        if opening > moment and self.hours is Hours.SKIP:
            self.note(step, Reason.OUTSIDE_HOURS, moment=moment.isoformat())
            return None
        expires_at = opening + step.expires if step.expires is not None else None
        if step.wait.kind is WaitKind.BEFORE_NEXT_SESSION and self.next_session is not None:
            # What announces a class is useless once it has begun, whatever window and worker do.
            if opening >= self.next_session:
                self.note(step, Reason.PAST_MOMENT, moment=opening.isoformat())
                return None
            expires_at = min(expires_at or self.next_session, self.next_session)
        return Send(step_key=step.key, due_at=opening, expires_at=expires_at)

    def _act(self, step: Step, position: int) -> tuple[int, Action | None]:
        """Do what a step without a message does."""
        match step.kind:
            case StepKind.BRANCH:
                return self._branch(step), None
            case StepKind.SPLIT:
                return self._split(step), None
            case StepKind.TAG:
                self._tag(step)
            case StepKind.HANDOVER:
                self._hand_over(step)
            case StepKind.EXIT:
                self.note(step, Reason.SEQUENCE_EXIT, said=step.options.get("reason", ""))
                return position, End(event=Event.EXIT, reason=Reason.SEQUENCE_EXIT)
        return position + 1, None

    def _branch(self, step: Step) -> int:
        when = step.options["when"]
        to = step.options["then" if holds(when, self.facts) else "else"]
        self.note(step, Reason.BRANCH_TAKEN, to=to, **answers(when, self.facts))
        return self.position_of(to)

    def _split(self, step: Step) -> int:
        to = _arm(step.options["arms"], self.bucket)
        self.note(step, Reason.ARM_TAKEN, to=to)
        return self.position_of(to)

    def _tag(self, step: Step) -> None:
        tags = self.facts.tags  # later steps of this walk see the change
        if add := step.options.get("add"):
            self.effects.append(AddTag(name=add))
            tags |= {add}
        if remove := step.options.get("remove"):
            self.effects.append(RemoveTag(name=remove))
            tags -= {remove}
        self.facts = replace(self.facts, tags=tags)
        self.note(step, Reason.TAGGED, **step.options)

    def _hand_over(self, step: Step) -> None:
        to, note = step.options.get("to", ""), step.options.get("note", "")
        self.effects.append(HandOver(to=to, note=note))
        self.note(step, Reason.HANDED_OVER, to=to)


def _arm(arms: Mapping[str, int], draw: float) -> str:
    """The arm in whose share the draw lies; the last one has what rounding leaves."""
    *ends, whole = accumulate(arms.values())
    return list(arms)[bisect_right(ends, draw / 100 * whole)]
