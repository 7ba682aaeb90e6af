"""Journeys over the pure core alone: a model that keeps in memory what the tables keep.

`faults` reads off a journey what must never be. It asks the wall clock of the tests, not the code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from nurture.domain.catching_up import Policy, catch_up
from nurture.domain.conditions import ConditionFacts
from nurture.domain.entry import Enter
from nurture.domain.journey import (
    MAX_STEPS,
    AddTag,
    Decision,
    Effect,
    Event,
    RemoveTag,
    Send,
    Status,
    Trace,
    WaitUntil,
    decide,
    transition,
)
from nurture.domain.reasons import Reason
from nurture.domain.sequence import SequenceSpec, Step, StepKind, WaitKind
from tests.wall_clock import DAY, Quiet, first_instant, is_open

Ask = Callable[..., Decision]
OPEN = (Status.ACTIVE, Status.PAUSED)


@dataclass(frozen=True, kw_only=True)
class Learner:
    """Whom a journey leads, and where."""

    zone: ZoneInfo
    quiet: Quiet | None
    bucket: float = 0.0


@dataclass(kw_only=True)
class Message:
    """A message that was owed once, and what was known when it was planned."""

    send: Send
    planned_at: datetime
    anchor: datetime
    waited: str
    class_at: datetime | None
    became: str = "owed"  # withdrawn | sent | expired
    settled_at: datetime | None = None


@dataclass(kw_only=True)
class Play:
    """One journey."""

    spec: SequenceSpec
    learner: Learner
    now: datetime
    next_session: datetime | None
    entry_key: str = ""
    enter: Enter = field(default_factory=lambda: Enter(round=1, slot=0))
    ask: Ask = decide
    status: Status = Status.ACTIVE
    step: str = ""
    anchor: datetime = field(init=False)
    started_at: datetime = field(init=False)
    next_action_at: datetime | None = None
    owed: Message | None = None
    paused_at: datetime | None = None
    steps_taken: int = 0
    replans: int = 0
    heard: list[tuple[str, datetime]] = field(default_factory=list)
    facts: ConditionFacts = field(default_factory=ConditionFacts)
    messages: list[Message] = field(default_factory=list)
    #: Every step that is done, in order, and where it led if it was a fork.
    path: list[tuple[str, str]] = field(default_factory=list)
    #: Messages that were dropped although the newest of them should have gone out.
    lost: list[str] = field(default_factory=list)
    #: Steps that still wait, after a pause, for what came in it.
    deaf: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.anchor = self.started_at = self.now

    # --- what the engine does -----------------------------------------------------------------

    def plan(self, current: str, waited: str = "") -> None:
        """Decide from a step on, and keep what was decided."""
        self.replans += bool(current and current == self.step and not waited)
        before, found = self.anchor, self._decide(current, self.anchor, waited, self.now)
        current = current or self.spec.steps[0].key
        self.steps_taken += 1
        self.anchor = found.anchor or self.anchor
        self._pass(found.trail, found.effects)
        self.next_action_at = self.owed = None
        match found.action:
            case Send(step_key=key) as send:
                self.step = key
                self.owed = Message(
                    send=send, planned_at=self.now, class_at=self.next_session,
                    anchor=before if key == current else self.anchor,
                    waited=waited if key == current else "",
                )  # fmt: skip
                self.messages.append(self.owed)
            case WaitUntil(step_key=key, at=at):
                self.step, self.next_action_at = key, max(at, self.now + timedelta(seconds=1))
            case over:
                self._end(over.event)

    def until(self, moment: datetime, *, sending: bool) -> None:
        """Time goes by; the engine looks whenever something is due, and so does the sender."""
        while (due := self.due(sending=sending)) is not None and due <= moment:
            self.now = max(self.now, due)
            if self.next_action_at is not None:
                self.plan(self.step, waited="time")
            else:
                self.settle()
        self.now = max(self.now, moment)

    def due(self, *, sending: bool) -> datetime | None:
        """When the engine or the sender has something to do next."""
        if self.owed is None or self.owed.settled_at is not None:
            return self.next_action_at
        return self.owed.send.due_at if sending else None

    def settle(self) -> None:
        """What is owed comes to its end now."""
        assert self.owed is not None, "asked only while something is owed"
        expires = self.owed.send.expires_at
        self.owed.became = "expired" if expires is not None and expires <= self.now else "sent"
        self.owed.settled_at = self.now
        if self.status is Status.ACTIVE:
            self._go_on_after(self.owed)

    def hear(self, event: str) -> None:
        """Something happened that the journey may wait for."""
        self.heard.append((event, self.now))
        waits = self.status is Status.ACTIVE and self.owed is None and self._at.wait
        if waits and waits.kind is WaitKind.UNTIL_EVENT and waits.event == event:
            self.plan(self.step, waited=event)

    def move_class(self, to: datetime | None) -> None:
        """The next class is at another time, or there is none."""
        self.next_session = to
        if self.status is Status.ACTIVE and self._at.wait.kind is WaitKind.BEFORE_NEXT_SESSION:
            self._withdraw()
            self.plan(self.step)

    def pause(self, *, on_the_wire: bool) -> None:
        """Staff hold it; what is on the wire cannot be withdrawn."""
        self.status = transition(self.status, Event.PAUSE)
        self.paused_at, self.next_action_at = self.now, None
        if not on_the_wire:
            self._withdraw()

    def resume(self, policy: Policy) -> None:
        """Staff let it go on."""
        self.status = transition(self.status, Event.RESUME)
        since, self.paused_at = self.paused_at or self.now, None
        held = self.step if self.owed is None else ""
        current: str | None = self.step
        waited = ""
        dropped: list[str] = []
        if self.owed is not None:
            if self.owed.settled_at is None:
                return
            current = self._after_message(self.owed)
        if current is not None:
            found = catch_up(
                ask=self._decide, after=self._after, current=current, anchor=self.anchor,
                policy=policy, paused_at=since, now=self.now,
            )  # fmt: skip
            self._pass(found.trail, found.effects)
            dropped = [t.step_key for t in found.trail if t.code is Reason.MISSED_IN_PAUSE]
            self.anchor, current, waited = found.anchor, found.current, found.waited
        self._go_on(current, waited)
        heard = self._came(self._at.wait.event, since)
        waits = self.next_action_at is not None and not self._says_something_now()
        if held == self.step and heard and waits:
            self.deaf.append(held)
        if policy is Policy.LATEST and not self._says_something_now():
            self.lost += dropped if self.status is not Status.EXITED else []  # its budget is spent

    def leave(self) -> None:
        """Something ends it early."""
        self._withdraw()
        self._end(Event.EXIT)

    # --- inside -------------------------------------------------------------------------------

    @property
    def _at(self) -> Step:
        return step_of(self.spec, self.step)

    def _says_something_now(self) -> bool:
        """A wait that was over long ago is over in a second."""
        soon = self.now + timedelta(seconds=1)
        return bool(self.owed) or (self.next_action_at is not None and self.next_action_at <= soon)

    def _decide(self, current: str, anchor: datetime, waited: str, then: datetime) -> Decision:
        return self.ask(
            steps=self.spec.steps, current=current, facts=self.facts, anchor=anchor,
            zone=self.learner.zone, window=self.spec.window, quiet=self.learner.quiet,
            next_session=self.next_session, now=then,
            steps_taken=self.steps_taken - self.replans, bucket=self.learner.bucket, waited=waited,
            came=self._came,
        )  # fmt: skip

    def _after(self, key: str) -> str | None:
        keys = [step.key for step in self.spec.steps]
        return next(iter(keys[keys.index(key) + 1 :]), None)

    def _after_message(self, message: Message) -> str | None:
        assert message.settled_at is not None, "asked only of what has come to its end"
        self.path.append((message.send.step_key, ""))
        self.anchor, self.owed = message.settled_at, None
        return self._after(message.send.step_key)

    def _go_on_after(self, message: Message) -> None:
        self._go_on(self._after_message(message))

    def _go_on(self, current: str | None, waited: str = "") -> None:
        if current is None:
            self._end(Event.FINISH)
        else:
            self.plan(current, waited)

    def _came(self, event: str, since: datetime) -> datetime | None:
        return next((at for heard, at in self.heard if heard == event and at > since), None)

    def _pass(self, trail: Iterable[Trace], effects: Iterable[Effect]) -> None:
        for trace in trail:
            self.steps_taken += 1
            if trace.code is not Reason.STEP_BUDGET:
                self.path.append((trace.step_key, str(trace.inputs.get("to", ""))))
        for effect in effects:
            match effect:
                case AddTag(name=name):
                    self.facts = replace(self.facts, tags=self.facts.tags | {name})
                case RemoveTag(name=name):
                    self.facts = replace(self.facts, tags=self.facts.tags - {name})

    def _withdraw(self) -> None:
        if self.owed is not None and self.owed.settled_at is None:
            self.owed.became, self.owed.settled_at = "withdrawn", self.now
        self.owed = None

    def _end(self, event: Event) -> None:
        self.status = transition(self.status, event)
        self.next_action_at = self.owed = self.paused_at = None


def step_of(spec: SequenceSpec, key: str) -> Step:
    """The step of this key."""
    return next(step for step in spec.steps if step.key == key)


# --- what must never be ---------------------------------------------------------------------------


def faults(play: Play) -> list[str]:
    """Everything that is wrong with a journey, in words."""
    found = [*_of_its_state(play), *_of_its_order(play), *_lost(play), *_deaf(play)]
    for message in play.messages:
        found += _of_its_hours(play, message)
        found += _of_its_moment(play, message)
    return found


def _of_its_state(play: Play) -> Iterator[str]:
    next_ones = [one for one in (play.next_action_at, play.owed) if one is not None]
    if play.status is Status.ACTIVE and len(next_ones) != 1:
        yield f"active with {len(next_ones)} next actions"
    if play.status not in OPEN and next_ones:
        yield "over, and something is still to come"
    if play.status is Status.PAUSED and play.next_action_at is not None:
        yield "held, and yet due"
    if play.next_action_at is not None and play.next_action_at <= play.now:
        yield "due, and not looked at"
    if play.status in OPEN and play.steps_taken - play.replans > MAX_STEPS:
        yield f"goes on after {play.steps_taken - play.replans} steps"


def _of_its_order(play: Play) -> Iterator[str]:
    keys = [step.key for step in play.spec.steps]
    done = [keys.index(key) for key, _ in play.path]
    if play.owed is not None and play.owed.settled_at is None:
        done.append(keys.index(play.owed.send.step_key))
    for before, after in pairwise(done):
        if after == before:
            yield f"{keys[after]} twice"
        elif after < before:
            yield f"{keys[after]} after {keys[before]}"
    told = [m.send.step_key for m in play.messages if m.became in {"sent", "expired"}]
    if len(told) != len(set(told)):
        yield f"told twice: {told}"
    yield from _left_out(play, keys)


def _lost(play: Play) -> Iterator[str]:
    """What was missed in a pause has no end of its use, and yet nothing was said after it."""
    for key in play.lost:
        step = step_of(play.spec, key)
        if step.expires is None and step.wait.kind is not WaitKind.BEFORE_NEXT_SESSION:
            yield f"{key} lost in a pause"


def _deaf(play: Play) -> Iterator[str]:
    for key in play.deaf:
        yield f"{key} waits for what came in a pause"


def _left_out(play: Play, keys: list[str]) -> Iterator[str]:
    """Steps that were passed in silence; only those that say nothing by themselves may be."""
    expected = 0
    for key, led_to in [*play.path, ("", "")]:
        if not key and play.status is not Status.COMPLETED:
            return
        place = keys.index(key) if key else len(keys)
        for step in play.spec.steps[expected:place]:
            if step.kind is not StepKind.WAIT:
                yield f"{step.key} left out without a word"
        forks = place < len(keys) and play.spec.steps[place].kind in {
            StepKind.BRANCH, StepKind.SPLIT,
        }  # fmt: skip
        expected = keys.index(led_to) if forks and led_to else place + 1


def _of_its_hours(play: Play, message: Message) -> Iterator[str]:
    """Whether its time lies in window and quiet hours, neither early nor late without need."""
    window, quiet, zone = play.spec.window, play.learner.quiet, play.learner.zone
    key, due = message.send.step_key, message.send.due_at
    if not is_open(due, window=window, quiet=quiet, zone=zone):
        yield f"{key} outside its hours: {due.astimezone(zone)}"
    wanted = max(message.planned_at, _moment(step_of(play.spec, key), message, zone))
    if due < wanted:
        yield f"{key} too early: {due}, not {wanted}"
    if due > wanted and is_open(wanted, window=window, quiet=quiet, zone=zone):
        yield f"{key} put off for nothing: {due}, not {wanted}"


def _moment(step: Step, message: Message, zone: ZoneInfo) -> datetime:
    """When a message is wanted, whatever its hours."""
    wait, anchor = step.wait, message.anchor
    if message.waited or wait.kind is WaitKind.UNTIL_EVENT:
        return message.planned_at
    if wait.kind is WaitKind.BEFORE_NEXT_SESSION:
        return (message.class_at or anchor) - wait.duration
    if wait.at is None:
        return anchor + wait.duration
    today = anchor.astimezone(zone).date()
    found = first_instant(today + wait.plus_days * DAY, wait.at, zone)
    return found if found > anchor else first_instant(today + DAY, wait.at, zone)


def _of_its_moment(play: Play, message: Message) -> Iterator[str]:
    send, step = message.send, step_of(play.spec, message.send.step_key)
    if send.expires_at is not None and send.expires_at < send.due_at:
        yield f"{step.key} useless before it is due"
    if step.expires and (send.expires_at is None or send.expires_at > send.due_at + step.expires):
        yield f"{step.key} lives too long"
    if step.wait.kind is WaitKind.BEFORE_NEXT_SESSION:
        begins = message.class_at
        if begins is None or send.due_at >= begins or (send.expires_at or begins) > begins:
            yield f"{step.key} of use only before its class"
    if step.wait.kind is not WaitKind.UNTIL_EVENT or message.waited in {step.wait.event, "time"}:
        return
    if not any(event == step.wait.event and message.anchor < at for event, at in play.heard):
        yield f"{step.key} though nothing happened"


def with_changed(question: str, answer: Any) -> Ask:
    """The machine as it would be if it were told something else than is so."""

    def ask(**asked: Any) -> Decision:
        return decide(**(asked | {question: answer}))

    return ask
