"""What in a sequence can hardly be meant, although its file is correct (N19).

The file reader (nurture/sequence_files.py) refuses what makes no sense at all: circles, unknown
keys, texts that Telegram would not take. Here is what would run, and surprise somebody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise, product
from typing import Any

from nurture.domain.conditions import comes_to, leaves
from nurture.domain.sequence import (
    Capped,
    Condition,
    Fact,
    Hours,
    SequenceSpec,
    Step,
    StepKind,
    Trigger,
    WaitKind,
    Window,
)

DAY = timedelta(days=1)
#: More messages in a week than this are too many for one learner.
MOST_A_WEEK = 7
#: A message that is of use for less than this is late after any hiccup.
SHORTEST_USE = timedelta(minutes=10)
_ABSENCE = frozenset({Fact.MISSED, Fact.MISSED_PLEDGED})
BUTTON_ACTIONS = frozenset({"dispute", "pledge_next"})
_ONCE = frozenset({Fact.FIRST_ATTENDED, Fact.RETURNED})
_MOST_QUESTIONS = 10  # 2^10 answers are still looked at


class Severity(StrEnum):
    """How sure it is that nobody means it."""

    ERROR = "error"  # it can never do what it says
    WARNING = "warning"  # look again


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is odd, in which step, and what to do about it."""

    code: str
    message: str
    severity: Severity
    step: str = ""


def lint(spec: SequenceSpec) -> list[Finding]:
    """Everything that is odd in a sequence, in the order of the checks below."""
    return [finding for check in _CHECKS for finding in check(spec)]


def _error(code: str, message: str, step: str = "") -> Finding:
    return Finding(code=code, message=message, severity=Severity.ERROR, step=step)


def _warning(code: str, message: str, step: str = "") -> Finding:
    return Finding(code=code, message=message, severity=Severity.WARNING, step=step)


# --- who enters ---------------------------------------------------------------------------------


def _triggers(spec: SequenceSpec) -> Iterator[Finding]:
    if not spec.triggers:
        yield _warning("no_trigger", "Nothing starts it: add a trigger.")
    for place, trigger in enumerate(spec.triggers):
        if trigger.fact in _ONCE and trigger.times > 1:
            said = f"{trigger.fact} is true of one class only, never {trigger.times} in a row."
            yield _error("no_streak", said)
        if trigger.fact is Fact.ATTENDED and trigger.times == 1:
            said = "It starts at the first class of a row only; say `times: any` for each."
            yield _warning("first_of_a_row", said)
        if any(_covers(earlier, trigger) for earlier in spec.triggers[:place]):
            said = f"The trigger on {trigger.fact} comes after one that always wins over it."
            yield _error("trigger_shadowed", said)


def _covers(earlier: Trigger, later: Trigger) -> bool:
    same = earlier.fact is later.fact and earlier.times in {0, later.times}
    return same and earlier.course in {"any", later.course}


def _holdout(spec: SequenceSpec) -> Iterator[Finding]:
    if spec.holdout == 100:
        yield _error("all_held_out", "holdout is 100: everybody is left alone. Lower it.")


# --- the way through ----------------------------------------------------------------------------


def _way(spec: SequenceSpec) -> Iterator[Finding]:
    if not any(step.enabled and step.kind is StepKind.MESSAGE for step in spec.steps):
        yield _warning("says_nothing", "No message is switched on: nobody hears anything.")
    reached = _reached(spec.steps)
    for step in spec.steps:
        if step.key not in reached:
            said = "No way leads here: a branch, a split or an exit comes before it."
            yield _error("unreachable", said, step.key)
        yield from _jump(step)
    if spec.steps and spec.steps[-1].kind is StepKind.WAIT:
        yield _warning("idle_end", "It waits, and then nothing follows.", spec.steps[-1].key)


def _reached(steps: Sequence[Step]) -> set[str]:
    keys = [step.key for step in steps]
    found: set[str] = set()
    ahead = keys[:1]
    while ahead:
        key = ahead.pop()
        if key not in found:
            found.add(key)
            ahead += _ways_on(steps, keys.index(key))
    return found


def _ways_on(steps: Sequence[Step], place: int) -> list[str]:
    step = steps[place]
    following = [steps[place + 1].key] if place + 1 < len(steps) else []
    if not step.enabled:
        return following
    match step.kind:
        case StepKind.BRANCH:
            return [step.options["then"], step.options["else"]]
        case StepKind.SPLIT:
            return [*step.options["arms"], *(following if step.when else [])]
        case StepKind.EXIT:
            return following if step.when else []
        case _:
            return following


def _jump(step: Step) -> Iterator[Finding]:
    if step.kind is StepKind.BRANCH and step.options["then"] == step.options["else"]:
        yield _warning("no_choice", "Both ways of the branch lead to the same step.", step.key)
    if step.kind is StepKind.SPLIT and len(step.options["arms"]) == 1:
        yield _warning("no_choice", "The split has one arm only.", step.key)


# --- conditions and events ------------------------------------------------------------------------


def _conditions(spec: SequenceSpec) -> Iterator[Finding]:
    tags = {step.options.get("add") for step in spec.steps if step.kind is StepKind.TAG}
    for step in spec.steps:
        condition = step.options.get("when") if step.kind is StepKind.BRANCH else step.when
        if condition is None:
            continue
        answers = _answers(condition)
        if answers == {False}:
            yield _error("never_holds", "Its condition can never be true.", step.key)
        if answers == {True}:
            yield _warning("always_holds", "Its condition is always true: leave it out.", step.key)
        for leaf in leaves(condition):
            if leaf.name == "tag" and leaf.value not in tags:
                said = f"No step here puts on the tag {leaf.value!r}; does another sequence?"
                yield _warning("tag_from_elsewhere", said, step.key)


def _answers(condition: Condition) -> set[bool]:
    """What a condition can come to; both, where there are too many questions to try them all."""
    names = sorted({(leaf.name, leaf.value) for leaf in leaves(condition)})
    if len(names) > _MOST_QUESTIONS:
        return {True, False}
    # Who said stop has left: nothing is planned for them.
    free = [name for name in names if name[0] != "opted_out"]
    return {
        comes_to(condition, _told(dict(zip(free, said, strict=True))))
        for said in product((True, False), repeat=len(free))
        if sum(yes for name, yes in zip(free, said, strict=True) if name[0] == "language") <= 1
    }


def _told(said: Mapping[tuple[str, str], bool]) -> Callable[[Condition], bool]:
    return lambda leaf: said.get((leaf.name, leaf.value), False)


def _events(spec: SequenceSpec) -> Iterator[Finding]:
    for step in spec.steps:
        if step.wait.kind is WaitKind.UNTIL_EVENT and step.wait.event in spec.exit_when:
            said = f"It waits for {step.wait.event}, which ends the journey instead (exit_when)."
            yield _error("waits_for_its_end", said, step.key)


# --- when ---------------------------------------------------------------------------------------


def _times(spec: SequenceSpec) -> Iterator[Finding]:
    for step in _messages(spec):
        if step.expires is not None and step.expires < SHORTEST_USE:
            yield _warning("expires_at_once", "It is of use for less than ten minutes.", step.key)
        if step.wait.kind is WaitKind.BEFORE_NEXT_SESSION and not step.wait.duration:
            said = "It is due when the class begins, and then it is useless: say how long before."
            yield _error("never_before_class", said, step.key)
        if spec.window is not None and _is_outside(step, spec.window):
            yield _outside(step, spec)


def _is_outside(step: Step, window: Window) -> bool:
    at = step.wait.at
    if step.wait.kind is not WaitKind.AT or at is None or window.opens == window.closes:
        return False
    if window.opens < window.closes:
        return not window.opens <= at < window.closes
    return window.closes <= at < window.opens


def _outside(step: Step, spec: SequenceSpec) -> Finding:
    if spec.outside_hours is Hours.SKIP:
        said = f"{step.wait.at:%H:%M} is outside the window, so it is always passed over."
        return _error("window_never_opens", said, step.key)
    said = f"{step.wait.at:%H:%M} is outside the window, so it always goes out later."
    return _warning("outside_window", said, step.key)


def _pace(spec: SequenceSpec) -> Iterator[Finding]:
    """Caps that make a step impossible, and more messages than anybody wants."""
    moments = list(_moments(spec))
    for place, (step, at) in enumerate(moments):
        same_day = [1 for _, other in moments[:place] if at - other < DAY]
        if spec.cap_per_day is not None and len(same_day) >= spec.cap_per_day:
            yield from _capped(step, spec)
        if len([1 for _, other in moments[:place] if at - other < 7 * DAY]) >= MOST_A_WEEK:
            said = f"More than {MOST_A_WEEK} messages within a week to one learner."
            yield _warning("too_many_a_week", said, step.key)
            return


def _capped(step: Step, spec: SequenceSpec) -> Iterator[Finding]:
    if spec.capped is Capped.DROP:
        said = "It follows within a day, and the cap drops it: wait longer, or cap with `defer`."
        yield _error("capped_away", said, step.key)
    elif step.expires is not None and step.expires < DAY:
        yield _error("capped_away", "The cap defers it until it has expired.", step.key)


def _moments(spec: SequenceSpec) -> Iterator[tuple[Step, timedelta]]:
    """Each message that is said for sure, with the least time from the entry to it.

    Behind a branch or split nothing is: each learner goes one of its ways.
    """
    passed = timedelta(0)
    for step in spec.steps:
        if step.kind in {StepKind.BRANCH, StepKind.SPLIT} and step.enabled:
            return
        if step.when is not None:
            continue
        if step.wait.kind in {WaitKind.AFTER, WaitKind.UNTIL_EVENT}:
            passed += step.wait.duration if step.wait.kind is WaitKind.AFTER else timedelta(0)
        elif step.wait.kind is WaitKind.AT:
            passed += max(step.wait.plus_days - 1, 0) * DAY
        else:
            continue
        if step.kind is StepKind.MESSAGE and step.enabled:
            yield step, passed


# --- what is said -------------------------------------------------------------------------------


def _words(spec: SequenceSpec) -> Iterator[Finding]:
    facts = {trigger.fact for trigger in spec.triggers}
    for step in _messages(spec):
        bare = _bare_variables(step)
        if facts and facts <= _ABSENCE and "minutes_present" in bare:
            said = "It names minutes_present, and whoever gets it was not there."
            yield _error("minutes_of_absence", said, step.key)
        if any(name.startswith("next_session_") for name in bare):
            yield from _announcement(step)
    for one, other in pairwise(_messages(spec)):
        if one.text == other.text:
            yield _warning("said_twice", "It says what the message before says.", other.key)


def _announcement(step: Step) -> Iterator[Finding]:
    if step.wait.kind is WaitKind.BEFORE_NEXT_SESSION:
        return
    if step.wait.duration >= DAY or step.wait.plus_days > 0:
        said = "It names whichever class is next when it is due; none may be known so far ahead."
        yield _warning("announces_far_class", said, step.key)
    elif not _asks(step.when, "has_next_session"):
        said = "It names the next class; say `when: has_next_session`, or give a default."
        yield _warning("needs_next_class", said, step.key)


def _asks(condition: Condition | None, name: str) -> bool:
    return any(leaf.name == name for leaf in leaves(condition))


def _bare_variables(step: Step) -> set[str]:
    """The variables that a text names without a default."""
    named = re.findall(r"\{\{-?\s*(\w+)\s*(\|[^}]*)?", step.text)
    return {name for name, filters in named if "default" not in filters}


def _languages(spec: SequenceSpec) -> Iterator[Finding]:
    languages = sorted({language for step in spec.steps for language in step.texts})
    for language in languages:
        for step in _messages(spec):
            if language not in step.texts:
                said = f"It has no text in {language}, as other steps have."
                yield _warning("half_translated", said, step.key)


def _dispute(spec: SequenceSpec) -> Iterator[Finding]:
    """N06: whoever is told that they were absent can say that they were not."""
    if not any(trigger.fact in _ABSENCE for trigger in spec.triggers):
        return
    for step in _messages(spec)[:1]:
        actions = {action for row in step.buttons for _, action in row}
        if "dispute" not in actions:
            said = "It speaks of an absence: give it a button with the action `dispute`."
            yield _warning("no_dispute", said, step.key)


def _buttons(spec: SequenceSpec) -> Iterator[Finding]:
    for step in _messages(spec):
        for text, action in (button for row in step.buttons for button in row):
            if action not in BUTTON_ACTIONS and not action.startswith("https://"):
                said = f"Its button {text!r} does nothing: there is no action {action!r}."
                yield _error("button_does_nothing", said, step.key)


def _messages(spec: SequenceSpec) -> list[Step]:
    return [step for step in spec.steps if step.enabled and step.kind is StepKind.MESSAGE]


_CHECKS: tuple[Callable[[SequenceSpec], Iterator[Any]], ...] = (
    _triggers,
    _holdout,
    _way,
    _conditions,
    _events,
    _times,
    _pace,
    _words,
    _languages,
    _dispute,
    _buttons,
)
