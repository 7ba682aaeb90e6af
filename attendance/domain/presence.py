"""From intervals of presence to what they mean for one learner in one class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance.domain.intervals import Interval, clip, length, union
from attendance.domain.kinds import Flag, OutcomeKind
from attendance.domain.reasons import Reason

# A class begins with its first person, but a very late host does not excuse everything.
LATE_HOST_AT_MOST = timedelta(minutes=15)
# A device that reconnects overlaps with itself for some seconds.
_SECOND_DEVICE_AT_LEAST = timedelta(seconds=30)


@dataclass(frozen=True)
class Policy:
    """How presence is judged in a course."""

    min_presence: timedelta = timedelta(seconds=120)
    late_grace: timedelta = timedelta(minutes=10)
    early_grace: timedelta = timedelta(minutes=10)
    partial_below: float = 0.5
    settle_positive: timedelta = timedelta(minutes=30)
    settle_missed: timedelta = timedelta(minutes=180)
    declined_is_excused: bool = True
    names_prove_presence: bool = False


@dataclass(frozen=True)
class Window:
    """The part of a class that counts: [starts_at, ends_at)."""

    starts_at: datetime
    ends_at: datetime
    host_late: bool = False
    ended_early: bool = False

    @property
    def length(self) -> timedelta:
        """How long the class was held, as far as it counts."""
        return self.ends_at - self.starts_at


@dataclass(frozen=True)
class Verdict:
    """What the records say about one learner in one class."""

    outcome: OutcomeKind
    reason: Reason
    flags: tuple[Flag, ...] = ()
    present: timedelta = timedelta()
    share: float = 0.0
    first_join_at: datetime | None = None
    last_leave_at: datetime | None = None


def effective_window(
    *, starts_at: datetime, ends_at: datetime, people: Sequence[Interval]
) -> Window:
    """Narrow the planned class to what was held, by the stays of all people in it.

    A late first join shifts the start by at most 15 minutes, an early end of the call moves
    the end. An overrun never counts against anyone.
    """
    inside = clip(people, start=starts_at, end=ends_at)
    if not inside:
        return Window(starts_at, ends_at)
    opened = min(max(min(inside)[0], starts_at), starts_at + LATE_HOST_AT_MOST)
    closed = max(end for _, end in inside)
    return Window(opened, closed, host_late=opened > starts_at, ended_early=closed < ends_at)


def judge(*, stays: Sequence[Interval], window: Window, policy: Policy) -> Verdict:
    """Conclude an outcome from one learner's stays on all devices.

    Stays are united, so two devices do not count twice, and cut to the window.
    """
    inside = union(clip(stays, start=window.starts_at, end=window.ends_at))
    present = length(inside)
    flags = _flags(stays, inside, window=window, policy=policy)
    if not present or present < policy.min_presence:
        if not present:
            return Verdict(OutcomeKind.MISSED, Reason.NOT_SEEN, flags)
        outcome, reason = OutcomeKind.MISSED, Reason.SEEN_TOO_BRIEFLY
        flags = (*flags, Flag.BRIEF)
    else:
        outcome, reason = _classify(present / window.length, flags, policy)
    return Verdict(
        outcome=outcome,
        reason=reason,
        flags=flags,
        present=present,
        share=present / window.length,
        first_join_at=inside[0][0],
        last_leave_at=inside[-1][1],
    )


def _classify(share: float, flags: tuple[Flag, ...], policy: Policy) -> tuple[OutcomeKind, Reason]:
    if share < policy.partial_below:
        return OutcomeKind.PARTIAL, Reason.SHARE_TOO_SMALL
    if Flag.LEFT_EARLY in flags:
        return OutcomeKind.LEFT_EARLY, Reason.LEFT_BEFORE_END
    if Flag.LATE in flags:
        return OutcomeKind.LATE, Reason.JOINED_LATE
    return OutcomeKind.ATTENDED, Reason.ATTENDED_ENOUGH


def _flags(
    stays: Sequence[Interval], inside: Sequence[Interval], *, window: Window, policy: Policy
) -> tuple[Flag, ...]:
    found = {Flag.HOST_LATE: window.host_late, Flag.ENDED_EARLY: window.ended_early}
    if inside:
        raw = length(clip(stays, start=window.starts_at, end=window.ends_at))
        found[Flag.LATE] = inside[0][0] > window.starts_at + policy.late_grace
        found[Flag.LEFT_EARLY] = inside[-1][1] < window.ends_at - policy.early_grace
        found[Flag.REJOINED] = len(inside) > 1
        found[Flag.MULTI_DEVICE] = raw - length(inside) > _SECOND_DEVICE_AT_LEAST
    return tuple(flag for flag in Flag if found.get(flag))
