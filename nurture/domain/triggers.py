"""Which fact starts a sequence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nurture.domain.reasons import Reason
from nurture.domain.sequence import Fact, Trigger

ANY_COURSE = "any"


@dataclass(frozen=True, kw_only=True)
class Match:
    """The first trigger that the fact meets."""

    trigger: Trigger
    streak: int


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """No trigger meets the fact; the reason is that of the one that came closest."""

    reason: Reason
    inputs: Mapping[str, Any] = field(default_factory=dict)


def first_match(
    triggers: Sequence[Trigger], *, fact: Fact, calendar_id: str, streak: int
) -> Match | Mismatch:
    """The first trigger in the file that meets `fact`, a fact of a class of `calendar_id`.

    `streak`: how many expected classes in a row have the fact, this one included. A trigger with a
    number fires at exactly that, so that "two in a row" does not fire again at three.
    """
    of_fact = [trigger for trigger in triggers if trigger.fact is fact]
    of_course = [t for t in of_fact if t.course in {ANY_COURSE, calendar_id}]
    for trigger in of_course:
        if trigger.times in {0, streak}:
            return Match(trigger=trigger, streak=streak)
    if not of_fact:
        return Mismatch(reason=Reason.NO_TRIGGER, inputs={"fact": fact.value})
    if not of_course:
        return Mismatch(reason=Reason.WRONG_COURSE, inputs={"course": calendar_id})
    wanted = [trigger.times for trigger in of_course]
    return Mismatch(reason=Reason.TIMES_NOT_REACHED, inputs={"in_a_row": streak, "wanted": wanted})
