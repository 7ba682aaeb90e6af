"""How many learners leave after a message, how sure that is, and when it is too many (N16, P17)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

#: How soon after a message somebody must leave for it to count against that message.
SOON = timedelta(hours=24)
#: Messages of this span are looked at when a sequence may be held.
LOOKS_BACK = timedelta(days=7)
#: A sequence is held where after one step at least FEWEST learners left, and the share of those
#: who leave is surely above MOST: the lower end of its interval is.
FEWEST, MOST = 5, 0.05
_Z = 1.959964  # 95 %, two-sided


@dataclass(frozen=True, kw_only=True)
class Leaving:
    """What followed the messages of one step."""

    step_key: str
    messages: int
    blocked: int  # learners who blocked the bot
    stopped: int  # who said stop and did not block it

    @property
    def left(self) -> int:
        """How many left."""
        return self.blocked + self.stopped

    @property
    def share(self) -> float:
        """The share of messages after which somebody left, 0 to 1."""
        return self.left / self.messages if self.messages else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where that share truly lies, with 95 % confidence."""
        return wilson(self.left, self.messages)

    @property
    def is_too_many(self) -> bool:
        """Whether the sequence is to be held for it."""
        return self.left >= FEWEST and self.interval[0] > MOST


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share; (0, 1) where nothing is known.

    https://en.wikipedia.org/wiki/Binomial_proportion_confidence_interval#Wilson_score_interval
    """
    if of == 0:
        return 0.0, 1.0
    share, z2 = hits / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def ranked(rows: Iterable[Leaving]) -> list[Leaving]:
    """The worst first: by what is sure of its share, so that one in two is not worse than 30 in 90.

    Equal ones by how often they were sent, then by name.
    """
    return sorted(rows, key=rank)


def rank(row: Leaving) -> tuple[float, float, int, str]:
    """What `ranked` orders by."""
    return -row.interval[0], -row.share, -row.messages, row.step_key


def worst(rows: Iterable[Leaving]) -> Leaving | None:
    """The step for which a sequence is to be held; None if there is none."""
    return next((row for row in ranked(rows) if row.is_too_many), None)
