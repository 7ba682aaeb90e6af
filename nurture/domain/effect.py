"""What a sequence changes: those who were written to beside those who were left alone (P20).

Who is left alone is drawn at random after every other entry rule, so the two groups differ in
nothing else. Everybody counts once, by their first entry, and as drawn: also somebody whose
message failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from nurture.domain.leaving import wilson

#: Nothing is concluded where fewer learners are known in either group.
FEWEST = 50


class Verdict(StrEnum):
    """What the figures allow to say."""

    TOO_FEW = "too_few"
    MORE = "more"  # those written to come more often
    FEWER = "fewer"  # they come less often
    OPEN = "open"  # the difference may as well be none


@dataclass(frozen=True, kw_only=True)
class Group:
    """One of the two groups, at the next class after their entry."""

    known: int  # learners of whom is known whether they came
    came: int
    minutes: float = 0.0  # attended, all together
    ahead: int = 0  # their next class is still to come, or not judged

    @property
    def share(self) -> float:
        """The share of those who came, 0 to 1."""
        return self.came / self.known if self.known else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where that share truly lies, with 95 % confidence."""
        return wilson(self.came, self.known)

    @property
    def mean_minutes(self) -> float:
        """Attended minutes for each learner known, also for those who missed the class."""
        return self.minutes / self.known if self.known else 0.0

    @property
    def lacking(self) -> int:
        """How many more must be known before anything is concluded."""
        return max(0, FEWEST - self.known)


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Both groups, and the difference between them."""

    sent: Group
    held: Group

    @property
    def difference(self) -> float:
        """How much more often those come who were written to, -1 to 1."""
        return self.sent.share - self.held.share

    @property
    def interval(self) -> tuple[float, float]:
        """Where the difference truly lies, with 95 % confidence."""
        return newcombe(self.sent, self.held)

    @property
    def verdict(self) -> Verdict:
        """What may be said of it."""
        if self.sent.lacking or self.held.lacking:
            return Verdict.TOO_FEW
        low, high = self.interval
        if low > 0:
            return Verdict.MORE
        return Verdict.FEWER if high < 0 else Verdict.OPEN


def newcombe(one: Group, other: Group) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares: Newcombe's hybrid of Wilson's (method 10).

    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8%3C873::AID-SIM779%3E3.0.CO;2-I
    """
    (low, high), (low_other, high_other) = one.interval, other.interval
    difference = one.share - other.share
    below = sqrt((one.share - low) ** 2 + (high_other - other.share) ** 2)
    above = sqrt((high - one.share) ** 2 + (other.share - low_other) ** 2)
    return max(-1.0, difference - below), min(1.0, difference + above)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One learner as counted: `came` is None while that is not known."""

    held_out: bool
    came: bool | None
    minutes: float = 0.0


def effect_of(cases: Iterable[Case]) -> Effect:
    """Count both groups."""
    rows = list(cases)
    return Effect(
        sent=_group(row for row in rows if not row.held_out),
        held=_group(row for row in rows if row.held_out),
    )


def _group(cases: Iterable[Case]) -> Group:
    rows = list(cases)
    known = [row for row in rows if row.came is not None]
    return Group(
        known=len(known),
        came=sum(row.came is True for row in known),
        minutes=sum(row.minutes for row in known),
        ahead=len(rows) - len(known),
    )
