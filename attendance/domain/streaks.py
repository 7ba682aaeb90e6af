"""How many classes in a row have a fact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from attendance.domain.kinds import EventKind, OutcomeKind


@dataclass(frozen=True)
class Past:
    """What is known of one expected class of a learner."""

    outcome: OutcomeKind
    effective: bool
    brief: bool = False
    pledged: bool = False


def has_fact(past: Past, fact: str) -> bool:
    """Say whether the class has the fact. Somebody seen briefly has no fact of absence."""
    if fact == EventKind.MISSED_PLEDGED:
        return has_fact(past, EventKind.MISSED) and past.pledged
    return past.outcome == fact and not past.brief


def streak(*, newest_first: Iterable[Past], fact: str) -> int:
    """Count the classes in a row that have `fact`, from the newest back.

    Excused ones are stepped over; one that is pending, unknown or not effective stops the
    count, and so does one without the fact.
    """
    count = 0
    for past in newest_first:
        if past.outcome == OutcomeKind.EXCUSED:
            continue
        if not past.effective or not has_fact(past, fact):
            break
        count += 1
    return count


def landmarks(*, outcome: OutcomeKind, earlier_newest_first: Iterable[Past]) -> list[EventKind]:
    """Return the facts that a class has by what was before it: the first one, or a return."""
    if outcome != OutcomeKind.ATTENDED:
        return []
    earlier = [p for p in earlier_newest_first if p.effective and p.outcome != OutcomeKind.EXCUSED]
    found = []
    if not any(past.outcome == OutcomeKind.ATTENDED for past in earlier):
        found.append(EventKind.FIRST_ATTENDED)
    if earlier and has_fact(earlier[0], EventKind.MISSED):
        found.append(EventKind.RETURNED)
    return found
