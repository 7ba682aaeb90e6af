"""The launch plan's figures: what each counts, and when it is met.

The overview, the metrics, the scorecard and the decision to go live all read them here, so that
one name never means two things. A figure is a share of counts; what the counts are called:

- deliveries by the state in which they ended, on the day on which they did: `sent`, `unknown`,
  `dead`, `expired`, `skipped`, `cancelled`, `failed`; `refused` instead of `failed` where it was
  the learner's doing (blocked the bot, never pressed Start, left Telegram);
- journeys: `started`, `completed`, or the reason for which one was left;
- `heard`: a learner wrote to the bot or pressed a button; commands do not count.

Tests count nowhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Literal

from nurture.domain.reasons import Reason

Verdict = Literal["pass", "fail", "not_yet"]
Counts = Mapping[str, int]

#: Why a delivery failed though nothing is wrong with us.
REFUSED = frozenset({"chat_blocked", "chat_never_started", "chat_deactivated", "chat_gone"})
#: The ends that a sequence was written for.
ARRIVED = (Reason.COMPLETED, Reason.EXIT_FACT, Reason.SEQUENCE_EXIT)
#: Why a journey ends before its sequence would have it. What was corrected, replaced by another
#: version or erased says nothing about the sequence.
GAVE_UP = (
    Reason.OPTED_OUT, Reason.UNREACHABLE, Reason.STEP_BUDGET, Reason.ENGINE_ERROR,
    Reason.SEQUENCE_STOPPED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        """From 0 up; None of nothing."""
        return self.hits / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class Target:
    """The bound that a share has to be beyond, and how many it takes to say so."""

    above: float | None = None
    below: float | None = None
    enough: int = 20

    def __str__(self) -> str:
        sign, bound = (">", self.above) if self.above is not None else ("<", self.below or 0.0)
        return f"{sign} {100 * bound:g} %"

    def verdict(self, share: Share) -> Verdict:
        """Whether the share is beyond the bound; `not_yet` where too few were counted."""
        value = share.value
        if value is None or share.of < self.enough:
            return "not_yet"
        good = value > self.above if self.above is not None else value < (self.below or 0.0)
        return "pass" if good else "fail"


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day."""

    day: date
    counts: Counts = field(default_factory=dict)


def success(counts: Counts) -> Share:
    """Delivery success: what arrived, of all that was meant to and came to its end.

    What was withdrawn or skipped was not meant to any more. What expired, was refused or cannot be
    known did not arrive, whoever is to blame.
    """
    lost = _sum(counts, "unknown", "failed", "refused", "dead", "expired")
    return Share(counts.get("sent", 0), counts.get("sent", 0) + lost)


def errors(counts: Counts) -> Share:
    """Error rate: what went wrong on our side, of all that was tried or given up.

    Learners who blocked the bot are none of it; they lower the success.
    """
    wrong = _sum(counts, "unknown", "failed", "dead")
    return Share(wrong, wrong + _sum(counts, "sent", "refused"))


def completion(counts: Counts) -> Share:
    """Journey completion: walked to the last step, or left by a rule of the sequence's own
    (`exit_when`, an exit step), of all journeys that came to an end of their own."""
    done = _sum(counts, *ARRIVED)
    return Share(done, done + _sum(counts, *GAVE_UP))


def activation_accuracy(counts: Counts) -> Share:
    """Activation accuracy: of the journeys begun, those whose cause was not taken back since.

    By the day of the correction; a correction is never counted below zero.
    """
    started = counts.get("started", 0)
    return Share(max(started - counts.get(Reason.CORRECTED, 0), 0), started)


def engagement(counts: Counts) -> Share:
    """Engagement: words and buttons of learners for each message that arrived; may exceed 1."""
    return Share(counts.get("heard", 0), counts.get("sent", 0))


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure by name: what it is called, what it counts, and its target if the plan has one."""

    key: str
    label: str
    share: Callable[[Counts], Share]
    target: Target | None = None


SUCCESS = Measure("success", "Delivery success", success, Target(above=0.95))
ACCURACY = Measure("accuracy", "Activation accuracy", activation_accuracy, Target(above=0.90))
COMPLETION = Measure("completion", "Journeys completed", completion)
ERRORS = Measure("errors", "Error rate", errors, Target(below=0.01))
ENGAGEMENT = Measure("engagement", "Engagement", engagement)
MEASURES = (SUCCESS, ACCURACY, COMPLETION, ENGAGEMENT, ERRORS)
#: Minutes in which the clock was seen, of all there were.
UPTIME = Target(above=0.995, enough=60)


def total(days: Iterable[Day]) -> Counts:
    """The counts of several days together."""
    together: Counter[str] = Counter()
    for day in days:
        together.update(day.counts)
    return together


def trend(measure: Measure, days: Iterable[Day]) -> list[float]:
    """The share of each day in percent, oldest first; days of nothing are left out."""
    values = (measure.share(day.counts).value for day in days)
    return [round(100 * value, 1) for value in values if value is not None]


def calendar(rows: Iterable[tuple[date, str, int]], *, until: date, days: int) -> list[Day]:
    """Counts by day for the `days` days up to and with `until`, days of nothing among them."""
    found: dict[date, Counter[str]] = {
        until - timedelta(days=back): Counter() for back in reversed(range(days))
    }
    for day, what, count in rows:
        if count and day in found:
            found[day][what] += count
    return [Day(day, counts) for day, counts in found.items()]


def name_of(status: str, reason: str) -> str:
    """Under which name a delivery's end is counted."""
    return "refused" if status == "failed" and reason in REFUSED else status


def _sum(counts: Counts, *names: str) -> int:
    return sum(counts.get(name, 0) for name in names)
