"""In which order the learners of a class are shown: first those of whom staff have to know."""

from __future__ import annotations

from enum import IntEnum

from attendance.domain.kinds import PRESENT_KINDS, OutcomeKind, ReviewKind


class Place(IntEnum):
    """What staff look for on the page of a class, the most telling first."""

    DISAGREEMENT = 0  # the learner says otherwise
    ASKED = 1  # staff are asked about them
    UNKNOWN = 2
    PENDING = 3
    BROKEN = 4  # absent, and had said that they come
    ABSENT = 5
    PRESENT_IN_PART = 6  # late, left early, a part of it
    EXCUSED = 7
    PRESENT = 8


_OF_KIND = {
    OutcomeKind.UNKNOWN: Place.UNKNOWN, OutcomeKind.PENDING: Place.PENDING,
    OutcomeKind.MISSED: Place.ABSENT, OutcomeKind.EXCUSED: Place.EXCUSED,
    OutcomeKind.ATTENDED: Place.PRESENT,
} | dict.fromkeys(PRESENT_KINDS - {OutcomeKind.ATTENDED}, Place.PRESENT_IN_PART)  # fmt: skip


def place(*, kind: OutcomeKind, asked: str, said_yes: bool) -> Place:
    """Where a learner stands in the list of a class.

    `asked`: the kind of the open question about them, or ""; `said_yes`: they had said that they
    come.
    """
    if asked == ReviewKind.DISPUTE:
        return Place.DISAGREEMENT
    if asked:
        return Place.ASKED
    if kind is OutcomeKind.MISSED and said_yes:
        return Place.BROKEN
    return _OF_KIND[kind]
