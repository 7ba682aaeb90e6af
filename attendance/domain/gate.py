"""The settlement gate of one class as a checklist: what holds, what is awaited, and until when.

`settlement.conclude` decides; this says for the class as a whole what that decision waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from attendance.domain.presence import Policy
from attendance.domain.settlement import GUEST_HOLDS_FOR, ClassEvidence


@dataclass(frozen=True)
class Doubts:
    """How many learners of the class each doubt concerns."""

    expected: int
    seen: int
    held: int = 0  # not seen, and a guest could be them
    unidentified: int = 0  # not seen, and we could not have seen them


@dataclass(frozen=True)
class Point:
    """One point of the gate: does it hold; if not, what is awaited, and until when at most."""

    letter: str
    words: str
    holds: bool
    awaited: str = ""
    until: datetime | None = None


def opens_at(*, session: ClassEvidence, policy: Policy) -> tuple[datetime, datetime]:
    """From when presence, and from when absence may have effect."""
    settles = session.settles_from
    return settles + policy.settle_positive, settles + policy.settle_missed


WORDS = {
    "a": "Google's log is read completely, past the settling time",
    "b": "Somebody was seen in the class",
    "c": "Not hardly anybody was seen",
    "d": "No unresolved guest could be a learner who was not seen",
    "e": "Whoever was not seen could have been recognised",
    "f": "Google answers",
    "g": "The class is in the calendar, with a Meet link or a call",
}


def checklist(
    *, session: ClassEvidence, policy: Policy, doubts: Doubts, now: datetime
) -> tuple[Point, ...]:
    """Return the points (a) to (g), in the order of the docs. An absence needs all of them."""
    _, absent_from = opens_at(session=session, policy=policy)
    gives_up = session.settles_from + GUEST_HOLDS_FOR
    day = None if now >= gives_up else gives_up
    then = "then it is unknown." if day else "a day has passed, so it is unknown."
    few = f"{doubts.seen} of {doubts.expected} expected learners were seen."
    found = {
        "a": session.log_complete,
        "b": session.anyone_seen,
        "c": not session.few_seen,
        "d": not doubts.held,
        "e": not doubts.unidentified,
        "f": session.google_answers,
        "g": session.confirmed and session.online,
    }
    awaited = {
        "a": "A complete reading made after the settling time.",
        "b": "Records of this class. Without any, nobody is called missed.",
        "c": f"{few} Somebody has to say that so few came.",
        "d": f"{_learners(doubts.held)} for who a guest was; {then}",
        "e": f"{_learners(doubts.unidentified)} for an address of theirs; till then it is unknown.",
        "f": "The newest reading was refused. See the readings for what to do.",
        "g": "A Meet link or a call; without one it is no class to judge."
        if session.confirmed
        else "It was cancelled. Nothing is concluded.",
    }
    until = {"a": absent_from if now < absent_from else None, "c": day, "d": day}
    return tuple(
        Point(letter, WORDS[letter], holds, awaited[letter], until.get(letter))
        for letter, holds in found.items()
    )


def _learners(count: int) -> str:
    return "One learner waits" if count == 1 else f"{count} learners wait"
