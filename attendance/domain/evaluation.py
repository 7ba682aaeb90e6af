"""How right outcomes are, measured against what people who were there say (a gold set).

What is undecided counts as wrong, and false absences are counted by themselves: they are what
destroys trust, and an average would hide them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

from attendance.domain.kinds import PRESENT_KINDS, OutcomeKind

# Two-sided 95 %: https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval
_Z = 1.959964
# Of a gold set, so many pairs should be something else than plainly attended.
HARD_CASES_AT_LEAST = 0.3
_UNDECIDED = frozenset({OutcomeKind.UNKNOWN, OutcomeKind.PENDING})


class Verdict(StrEnum):
    """Whether a figure meets its target."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    NOT_ENOUGH = "not_enough"  # the figure would do, but so few pairs do not show it


@dataclass(frozen=True)
class Judged:
    """One learner in one class: what it was, and what we say."""

    gold: OutcomeKind
    ours: OutcomeKind
    effective: bool = True

    @property
    def is_decided(self) -> bool:
        """Whether we say anything that is acted on."""
        return self.effective and self.ours not in _UNDECIDED


@dataclass(frozen=True)
class Share:
    """So many of so many, with its 95 % interval by Wilson and its target."""

    name: str
    hits: int
    of: int
    at_least: float | None = None  # the target is met by the share itself
    above: float | None = None  # by the lower end of the interval
    at_most: float | None = None

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end, 0 to 1 of nothing."""
        return wilson(self.hits, self.of)

    @property
    def verdict(self) -> Verdict | None:
        """Against the target; None where there is none."""
        if self.at_least is None and self.above is None and self.at_most is None:
            return None
        if self.value is None:
            return Verdict.NOT_ENOUGH
        if self.at_most is not None:
            return Verdict.PASS if self.value <= self.at_most else Verdict.FAIL
        if self.at_least is not None:
            return Verdict.PASS if self.value >= self.at_least else Verdict.FAIL
        assert self.above is not None, "one target is set"
        if self.value <= self.above:
            return Verdict.FAIL
        return Verdict.PASS if self.interval[0] > self.above else Verdict.NOT_ENOUGH


@dataclass(frozen=True)
class Evaluation:
    """All figures of a gold set."""

    confusion: Mapping[tuple[OutcomeKind, OutcomeKind], int]  # (gold, ours) → pairs
    shares: tuple[Share, ...]
    hard_cases: Share

    def share(self, name: str) -> Share:
        """One figure by its name."""
        return next(share for share in self.shares if share.name == name)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share, honest also near 0 and 1 and for few pairs."""
    if not of:
        return 0.0, 1.0
    share, spread = hits / of, _Z * _Z / of
    middle = share + spread / 2
    half = _Z * sqrt(share * (1 - share) / of + spread / (4 * of))
    low, high = (middle - half) / (1 + spread), (middle + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)


def evaluate(
    judged: Iterable[Judged],
    *,
    right_links: int = 0,
    links: int = 0,
    wanted_links: int = 0,
) -> Evaluation:
    """Measure outcomes against gold ones, and automatic links against those that are right.

    `links`: endpoints given to a learner of the gold set by themselves; `right_links`: those of
    them that are theirs; `wanted_links`: endpoints that truly are theirs.
    """
    pairs = list(judged)
    decided = [pair for pair in pairs if pair.is_decided]
    right = _true(decided)
    present = [pair for pair in pairs if pair.gold in PRESENT_KINDS]
    false = sum(pair.ours == OutcomeKind.MISSED and pair.is_decided for pair in present)
    absent = [pair for pair in decided if pair.ours == OutcomeKind.MISSED]
    hard = sum(pair.gold != OutcomeKind.ATTENDED for pair in pairs)
    return Evaluation(
        confusion=Counter((pair.gold, pair.ours) for pair in pairs),
        shares=(
            Share("strict accuracy", right, len(pairs), above=0.9),
            Share("coverage", len(decided), len(pairs), at_least=0.95),
            Share("accuracy of what is decided", right, len(decided)),
            Share("false absences", false, len(present), at_most=0.01),
            Share("precision of absences", _true(absent), len(absent), at_least=0.98),
            Share("identity precision", right_links, links, at_least=0.995),
            Share("identity recall", right_links, wanted_links),
        ),
        hard_cases=Share("not plainly attended", hard, len(pairs), at_least=HARD_CASES_AT_LEAST),
    )


def _true(pairs: Iterable[Judged]) -> int:
    return sum(pair.gold == pair.ours for pair in pairs)
