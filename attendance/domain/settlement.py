"""When may a conclusion be acted on? Presence is proved by a record, absence only by all of them.

The rules of one (learner, class) are a list, in order; the first that does not hold decides.
The same list is what staff are shown when they ask why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance.domain.intervals import Interval, covers
from attendance.domain.kinds import PRESENT_KINDS, Flag, OutcomeKind
from attendance.domain.presence import Policy, Verdict
from attendance.domain.reasons import Reason

# A call that runs over moves the settling time, but not for ever.
OVERRUN_AT_MOST = timedelta(minutes=60)
# Google may be later than the policy waits, but the wait is not lengthened beyond this.
LAG_AT_MOST = timedelta(hours=6)
_LAG_MARGIN = timedelta(minutes=30)
# Over a break of so long between two classes on one link people stay in the call.
BREAK_AT_MOST = timedelta(minutes=30)
CALL_AT_MOST = timedelta(hours=12)  # and so long after the end of one, at most
# How long a guest who could be anyone keeps absences undecided.
GUEST_HOLDS_FOR = timedelta(hours=24)
# Below this share of at least so many expected learners, staff are asked before anyone is missed.
FEW_BELOW, FEW_OF_AT_LEAST = 0.2, 5
# By these flags others' stays narrowed the class; a record still unread may widen it again.
_NARROWED = frozenset({Flag.HOST_LATE, Flag.ENDED_EARLY})
# Facts fire only while they are fresh; after that, conclusions that had effect are frozen.
FACTS_FIRE_FOR = timedelta(hours=72)


@dataclass(frozen=True)
class Reading:
    """One complete reading of the log: window [starts_at, ends_at), read at `read_at`."""

    starts_at: datetime
    ends_at: datetime
    read_at: datetime


@dataclass(frozen=True)
class ClassEvidence:
    """What is known of a class as a whole."""

    confirmed: bool
    settles_from: datetime
    log_complete: bool
    anyone_seen: bool
    few_seen: bool = False  # so few of the expected that the log itself is in doubt
    google_answers: bool = True  # no closed door, no missing right
    online: bool = True  # it has a Meet link, or a call
    presence_complete: bool = True  # the log was read past the wait for presence


@dataclass(frozen=True)
class LearnerEvidence:
    """What is known of one learner in that class."""

    enrolled: bool
    identified: bool
    held_by_guest: bool
    verdict: Verdict
    declined: bool = False  # said no to the invitation, where the policy excuses that
    noted_later: bool = False  # the class had begun when we heard of the enrolment


@dataclass(frozen=True)
class Rule:
    """One rule of the gate, the value it looked at and whether it holds."""

    name: str
    value: str
    passed: bool
    outcome: OutcomeKind
    reason: Reason


@dataclass(frozen=True)
class Conclusion:
    """What is concluded now, and whether it may be acted on."""

    outcome: OutcomeKind
    reason: Reason
    effective: bool
    rules: tuple[Rule, ...]


def too_few(*, expected: int, seen: int) -> bool:
    """Say whether so few of those expected were seen that the log is to be doubted first."""
    return expected >= FEW_OF_AT_LEAST and seen < expected * FEW_BELOW


def settling_starts(*, ends_at: datetime, stays: Sequence[Interval]) -> datetime:
    """Return T0: the end of the class, later if the call ran over, by at most an hour."""
    newest = max((end for _, end in stays), default=ends_at)
    return max(ends_at, min(newest, ends_at + OVERRUN_AT_MOST))


def call_lasts_until(*, ends_at: datetime, following: Sequence[Interval]) -> datetime:
    """Return until when the call of a class may last that runs on through those that follow it.

    `following`: the classes of its course on its link, in their order. The log tells of nobody
    who is still in a call.
    """
    at_most = ends_at + CALL_AT_MOST
    for starts_at, until in following:
        if starts_at > ends_at + BREAK_AT_MOST:
            break
        ends_at = max(ends_at, until)
    return min(ends_at, at_most)


def waits_for(*, policy: Policy, lag_p99: timedelta | None) -> timedelta:
    """Return how long absences settle: as the policy says, longer where Google is that late."""
    if lag_p99 is None:
        return policy.settle_missed
    return max(policy.settle_missed, min(lag_p99 + _LAG_MARGIN, LAG_AT_MOST))


def log_is_complete(
    *, readings: Sequence[Reading], starts_at: datetime, settles_from: datetime, lag: timedelta
) -> bool:
    """Say whether the readings can support what is missing from [starts_at, settles_from).

    Records come up to `lag` late, so an instant counts as read only by a reading made at
    least that much later; and some reading's window must reach past the settling time.
    """
    mature = [(run.starts_at, min(run.ends_at, run.read_at - lag)) for run in readings]
    reached = max((run.ends_at for run in readings), default=starts_at)
    return reached >= settles_from + lag and covers(mature, start=starts_at, end=settles_from)


def conclude(
    *, learner: LearnerEvidence, session: ClassEvidence, policy: Policy, now: datetime
) -> Conclusion:
    """Put a verdict through the gate for its kind."""
    verdict = learner.verdict
    if verdict.outcome in PRESENT_KINDS:
        rules = _presence_rules(learner, session, policy, now)
    elif learner.declined:
        rules = _excuse_rules(learner, session, policy, now)
    else:
        rules = _absence_rules(learner, session, policy, now)
    failed = next((rule for rule in rules if not rule.passed), None)
    if failed is None:
        last = rules[-1]
        return Conclusion(last.outcome, last.reason, effective=True, rules=rules)
    return Conclusion(failed.outcome, failed.reason, effective=False, rules=rules)


def _presence_rules(
    learner: LearnerEvidence, session: ClassEvidence, policy: Policy, now: datetime
) -> tuple[Rule, ...]:
    opens_at = session.settles_from + policy.settle_positive
    verdict = learner.verdict
    return (
        *_common_rules(learner, session),
        # Before its time the verdict is shown, but has no effect.
        Rule(
            "settling_time_over",
            opens_at.isoformat(),
            passed=now >= opens_at,
            outcome=verdict.outcome,
            reason=Reason.NOT_SETTLED_YET,
        ),
        Rule(
            "log_complete",
            str(session.presence_complete).lower(),
            passed=session.presence_complete or not _may_change(verdict),
            outcome=verdict.outcome,
            reason=Reason.SYNC_INCOMPLETE,
        ),
        _verdict_rule(verdict),
    )


def _may_change(verdict: Verdict) -> bool:
    """Say whether records that are still unread could make this presence another kind."""
    return verdict.outcome != OutcomeKind.ATTENDED or not _NARROWED.isdisjoint(verdict.flags)


def _excuse_rules(
    learner: LearnerEvidence, session: ClassEvidence, policy: Policy, now: datetime
) -> tuple[Rule, ...]:
    opens_at = session.settles_from + policy.settle_positive
    return (
        *_common_rules(learner, session),
        Rule(
            "settling_time_over",
            opens_at.isoformat(),
            passed=now >= opens_at,
            outcome=OutcomeKind.PENDING,
            reason=Reason.NOT_SETTLED_YET,
        ),
        Rule("declined", "true", True, OutcomeKind.EXCUSED, Reason.DECLINED),
    )


def _absence_rules(
    learner: LearnerEvidence, session: ClassEvidence, policy: Policy, now: datetime
) -> tuple[Rule, ...]:
    opens_at = session.settles_from + policy.settle_missed
    given_up = now >= session.settles_from + GUEST_HOLDS_FOR
    unknown, pending = OutcomeKind.UNKNOWN, OutcomeKind.PENDING
    held = (
        (unknown, Reason.GUEST_NEVER_RESOLVED) if given_up else (pending, Reason.UNRESOLVED_GUEST)
    )
    few = (unknown if given_up else pending, Reason.FEW_SEEN)
    return (
        *_common_rules(learner, session),
        _fact("enrolled_by_then", not learner.noted_later, unknown, Reason.NOTED_LATER),
        _fact("identity_verified", learner.identified, unknown, Reason.NO_VERIFIED_IDENTITY),
        Rule(
            "settling_time_over",
            opens_at.isoformat(),
            passed=now >= opens_at,
            outcome=pending,
            reason=Reason.NOT_SETTLED_YET,
        ),
        _fact("log_complete", session.log_complete, pending, Reason.SYNC_INCOMPLETE),
        _fact("google_answers", session.google_answers, pending, Reason.GOOGLE_DARK),
        _fact("anyone_seen", session.anyone_seen, unknown, Reason.NO_HUMAN_SEEN),
        _fact("enough_seen", not session.few_seen, *few),
        _fact("no_unresolved_guest", not learner.held_by_guest, *held),
        _verdict_rule(learner.verdict),
    )


def _fact(name: str, passed: bool, outcome: OutcomeKind, reason: Reason) -> Rule:
    return Rule(name, str(passed).lower(), passed, outcome, reason)


def _common_rules(learner: LearnerEvidence, session: ClassEvidence) -> tuple[Rule, ...]:
    return (
        _fact("enrolled", learner.enrolled, OutcomeKind.UNKNOWN, Reason.NOT_ENROLLED),
        _fact("class_confirmed", session.confirmed, OutcomeKind.UNKNOWN, Reason.SESSION_CANCELLED),
        _fact("class_online", session.online, OutcomeKind.UNKNOWN, Reason.NO_MEET_LINK),
    )


def _verdict_rule(verdict: Verdict) -> Rule:
    seconds = int(verdict.present.total_seconds())
    return Rule(
        "policy", f"{seconds} s, {verdict.share:.0%}", True, verdict.outcome, verdict.reason
    )
