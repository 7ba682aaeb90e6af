"""What became of the runs of a sequence, step by step (P25)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from nurture.domain.reasons import Reason


class State(StrEnum):
    """What became of one journey at one step; each is in exactly one of these."""

    WAITING = "waiting"  # it stands there now
    SENT = "sent"
    UNKNOWN = "unknown"  # it may have been sent
    FAILED = "failed"  # refused, or given up
    SKIPPED = "skipped"  # nothing went out, and a reason says why
    PASSED = "passed"  # there was nothing to send


#: Why a step was passed over, where no delivery of it says so.
PASSED_OVER = frozenset(
    {
        Reason.STEP_DISABLED,
        Reason.CONDITION_FALSE,
        Reason.PAST_MOMENT,
        Reason.MISSED_IN_PAUSE,
        Reason.NO_NEXT_SESSION,
        Reason.VARIABLE_MISSING,
        Reason.WINDOW_NEVER_OPENS,
        Reason.OUTSIDE_HOURS,
        Reason.TEXT_REFUSED,
    }
)


@dataclass(frozen=True, kw_only=True)
class At:
    """How many journeys are in one state at one step, for one reason."""

    step_key: str
    state: State
    why: str  # a reason of nurture or of delivery; only where skipped or failed
    journeys: int
    median_wait: timedelta | None = None  # from reaching the step to its message; where sent


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How many journeys are in one status; `step_key` is the last step that they reached."""

    step_key: str
    status: str
    reason: str  # only where exited
    journeys: int


@dataclass(kw_only=True)
class StepFigures:
    """The figures of one step."""

    key: str
    states: Counter[State] = field(default_factory=Counter)
    skipped_for: Counter[str] = field(default_factory=Counter)
    failed_for: Counter[str] = field(default_factory=Counter)
    left_for: Counter[str] = field(default_factory=Counter)  # journeys that ended early here
    median_wait: timedelta | None = None

    @property
    def reached(self) -> int:
        """How many journeys came to this step."""
        return self.states.total()

    @property
    def left(self) -> int:
        """How many journeys ended early here."""
        return self.left_for.total()

    @property
    def drop_off(self) -> float | None:
        """The share of those who came here and ended early here, 0 to 1; None: nobody came."""
        return self.left / self.reached if self.reached else None


@dataclass(kw_only=True)
class Funnel:
    """The figures of one version."""

    statuses: Counter[str] = field(default_factory=Counter)
    left_for: Counter[str] = field(default_factory=Counter)  # whatever the step
    steps: dict[str, StepFigures] = field(default_factory=dict)
    #: Journeys that ended before they reached any step.
    left_at_once: Counter[str] = field(default_factory=Counter)

    @property
    def entered(self) -> int:
        """How many journeys are counted."""
        return self.statuses.total()

    def of(self, key: str) -> StepFigures:
        """The figures of a step, all nought where nobody reached it."""
        return self.steps.setdefault(key, StepFigures(key=key))


def funnel(*, states: Iterable[At], ends: Iterable[Ended]) -> Funnel:
    """Put counted rows together."""
    found = Funnel()
    for row in states:
        step = found.of(row.step_key)
        step.states[row.state] += row.journeys
        if row.state is State.SENT:
            step.median_wait = row.median_wait
        reasons = {State.SKIPPED: step.skipped_for, State.FAILED: step.failed_for}
        if row.state in reasons:
            reasons[row.state][row.why] += row.journeys
    for end in ends:
        found.statuses[end.status] += end.journeys
        if end.status == "exited":
            found.left_for[end.reason] += end.journeys
            here = found.of(end.step_key).left_for if end.step_key else found.left_at_once
            here[end.reason] += end.journeys
    return found


def share(part: int, whole: int) -> float:
    """A part of a whole, 0 to 1; 0 where there is no whole."""
    return part / whole if whole else 0.0


def by_size(reasons: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons with how often, the most frequent first, then by name."""
    return sorted(reasons.items(), key=lambda row: (-row[1], row[0]))
