"""From records to outcomes, and from outcomes to facts, when their time has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from attendance.domain.kinds import (
    PRESENT_KINDS,
    Flag,
    Origin,
    OutcomeKind,
    PledgeState,
    ReviewKind,
    SessionStatus,
)
from attendance.domain.reasons import Reason
from attendance.domain.settlement import (
    FACTS_FIRE_FOR,
    GUEST_HOLDS_FOR,
    Conclusion,
    LearnerEvidence,
)
from attendance.models import ClassSession, Outcome, Pledge, ReviewItem
from attendance.selectors.evidence import Evidence, evidence
from attendance.services.facts import Change, publish

# While the log is incomplete a class is looked at again after each reading; this is the net.
LOOK_AGAIN = timedelta(minutes=10)
LOOK_AGAIN_LATER = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=7)

# What only waits for its time does not take back what already had effect.
_MATTERS_OF_TIME = frozenset({Reason.NOT_SETTLED_YET, Reason.SYNC_INCOMPLETE})
_WRITTEN_IN_PLACE = ["effective", "effective_at", "reason", "inputs"]


@dataclass(frozen=True)
class SettleReport:
    """What a pass of the settler did."""

    settled: int = 0  # classes looked at
    outcomes: int = 0  # new revisions
    events: int = 0  # new facts


@dataclass
class _Work:
    """What one class's evaluation is going to write."""

    new: list[Outcome] = field(default_factory=list)
    replaced: list[int] = field(default_factory=list)
    updated: list[Outcome] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    reviews: list[ReviewItem] = field(default_factory=list)
    undecided: int = 0  # learners who still wait for a guest to be resolved


def settle(*, now: datetime, limit: int = 1000) -> SettleReport:
    """Evaluate up to `limit` due classes, oldest first, one transaction for each.

    Safe to repeat and to run in many workers: each class is locked while it is evaluated, and
    a revision is written only where the conclusion changed.
    """
    total = SettleReport()
    for _ in range(limit):
        report = _settle_next(now)
        if report is None:
            break
        total = SettleReport(
            total.settled + 1,
            total.outcomes + report.outcomes,
            total.events + report.events,
        )
    return total


@transaction.atomic
def _settle_next(now: datetime) -> SettleReport | None:
    session = ClassSession.objects.due(now).claim(1).first()
    if session is None:
        return None
    if now < session.ends_at:
        session.next_check_at = session.ends_at
        session.save(update_fields=["next_check_at"])
        return SettleReport()
    known = evidence(session=session)
    work = _evaluate(known, now)
    events = _write(known, work, now)
    _move_on(known, work, now)
    return SettleReport(outcomes=len(work.new), events=events)


def _evaluate(known: Evidence, now: datetime) -> _Work:
    current = {
        outcome.learner_id: outcome
        for outcome in Outcome.objects.filter(session=known.session, is_current=True)
    }
    work = _Work()
    for learner_id in sorted(known.emails):
        learner, conclusion = known.conclusion(learner_id=learner_id, now=now)
        if conclusion.reason == Reason.UNRESOLVED_GUEST:
            work.undecided += 1
        before = current.get(learner_id)
        if before is not None and before.origin == Origin.STAFF:
            continue
        after = _outcome(known, learner_id, learner, conclusion, before, now)
        _compare(known, work, before, after, now)
    return work


def _outcome(
    known: Evidence,
    learner_id: int,
    learner: LearnerEvidence,
    conclusion: Conclusion,
    before: Outcome | None,
    now: datetime,
) -> Outcome:
    verdict = learner.verdict
    outcome, reason, effective = conclusion.outcome, conclusion.reason, conclusion.effective
    if _only_waits(before, verdict.outcome, reason):
        outcome, reason, effective = verdict.outcome, verdict.reason, True
    return Outcome(
        learner_id=learner_id,
        session=known.session,
        revision=1 if before is None else before.revision + 1,
        outcome=outcome.value,
        flags=[flag.value for flag in verdict.flags],
        present_seconds=int(verdict.present.total_seconds()),
        share=round(verdict.share, 4),
        first_join_at=verdict.first_join_at,
        last_leave_at=verdict.last_leave_at,
        effective=effective,
        effective_at=now if effective else None,
        origin=Origin.ENGINE.value,
        policy=known.policy_row,
        reason=reason.value,
        inputs=_inputs(known, conclusion),
        decided_at=now,
    )


def _only_waits(before: Outcome | None, verdict: OutcomeKind, reason: Reason) -> bool:
    if before is None or not before.effective or reason not in _MATTERS_OF_TIME:
        return False
    return verdict in PRESENT_KINDS or verdict == before.outcome


def _inputs(known: Evidence, conclusion: Conclusion) -> dict[str, Any]:
    return {
        "window": [known.window.starts_at.isoformat(), known.window.ends_at.isoformat()],
        "settles_from": known.known.settles_from.isoformat(),
        "rules": [
            {"rule": rule.name, "input": rule.value, "passed": rule.passed}
            for rule in conclusion.rules
        ],
    }


def _compare(
    known: Evidence, work: _Work, before: Outcome | None, after: Outcome, now: datetime
) -> None:
    """Decide between a new revision, a change of effect, a question to staff, and nothing."""
    if before is not None and _conclusion(before) == _conclusion(after):
        _keep(work, before, after)
        return
    frozen = now >= known.known.settles_from + FACTS_FIRE_FOR
    if before is not None and before.effective and frozen:
        work.reviews.append(_review(ReviewKind.LATE_RECORD, known, after, now))
        return
    if before is not None:
        work.replaced.append(before.pk)
    work.new.append(after)
    corrects = before is not None and before.effective and before.outcome != after.outcome
    newly = after.effective and (before is None or not before.effective or corrects)
    if corrects or newly:
        work.changes.append(Change(after, corrects))
    if after.effective and Flag.BRIEF in after.flags:
        work.reviews.append(_review(ReviewKind.BRIEF, known, after, now))


def _keep(work: _Work, before: Outcome, after: Outcome) -> None:
    """The conclusion stands; it may have become effective, or wait for something else."""
    newly = after.effective and not before.effective
    if newly or before.reason != after.reason:
        before.reason, before.inputs = after.reason, after.inputs
        if newly:
            before.effective, before.effective_at = True, after.effective_at
            work.changes.append(Change(before, corrects=False))
        work.updated.append(before)


def _conclusion(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.outcome,
        outcome.flags,
        outcome.present_seconds,
        round(outcome.share, 4),
        outcome.first_join_at,
        outcome.last_leave_at,
    )


def _review(kind: ReviewKind, known: Evidence, after: Outcome, now: datetime) -> ReviewItem:
    return ReviewItem(
        kind=kind.value,
        key=f"{kind}:{after.learner_id}:{known.session.pk}",
        session=known.session,
        learner_id=after.learner_id,
        evidence={"outcome": after.outcome, "seconds": after.present_seconds},
        created_at=now,
    )


def _write(known: Evidence, work: _Work, now: datetime) -> int:
    Outcome.objects.filter(pk__in=work.replaced).update(is_current=False)
    Outcome.objects.bulk_create(work.new)
    Outcome.objects.bulk_update(work.updated, _WRITTEN_IN_PLACE)
    if work.undecided:
        work.reviews += [
            ReviewItem(
                kind=ReviewKind.GUEST.value,
                key=f"{ReviewKind.GUEST}:{guest.endpoint}",
                session=known.session,
                endpoint_id=guest.endpoint,
                evidence={"undecided": work.undecided},
                created_at=now,
            )
            for guest in known.guests
        ]
    ReviewItem.objects.bulk_create(work.reviews, ignore_conflicts=True)
    _close_pledges(known.session, work)
    return publish(session=known.session, changes=work.changes, now=now)


def _close_pledges(session: ClassSession, work: _Work) -> None:
    kept: Mapping[bool, list[int]] = {True: [], False: []}
    for change in work.changes:
        if change.outcome.effective:
            kept[change.outcome.outcome in PRESENT_KINDS].append(change.outcome.learner_id)
    promised = [PledgeState.YES, PledgeState.KEPT, PledgeState.BROKEN]
    for was_kept, learners in kept.items():
        state = PledgeState.KEPT if was_kept else PledgeState.BROKEN
        Pledge.objects.filter(session=session, learner_id__in=learners, state__in=promised).update(
            state=state.value
        )


def _move_on(known: Evidence, work: _Work, now: datetime) -> None:
    """Note where the class stands and when to look at it again."""
    session = known.session
    status, session.next_check_at = _next(known, work, now)
    if session.status != status:
        session.status, session.changed_at = status.value, now
    if status == SessionStatus.SETTLED and session.settled_at is None:
        session.settled_at = now
    session.save(update_fields=["status", "next_check_at", "changed_at", "settled_at"])


def _next(known: Evidence, work: _Work, now: datetime) -> tuple[SessionStatus, datetime | None]:
    settles_from, policy = known.known.settles_from, known.policy
    if now < settles_from + policy.settle_positive:
        return SessionStatus.ENDED, settles_from + policy.settle_positive
    if now < settles_from + policy.settle_missed:
        return SessionStatus.SETTLING, settles_from + policy.settle_missed
    if not known.known.log_complete:
        if now >= settles_from + GIVE_UP_AFTER:
            return SessionStatus.NO_DATA, None
        old = now >= settles_from + GUEST_HOLDS_FOR
        return SessionStatus.SETTLING, now + (LOOK_AGAIN_LATER if old else LOOK_AGAIN)
    if not known.known.anyone_seen:
        return SessionStatus.NO_DATA, None
    if work.undecided:
        return SessionStatus.SETTLING, settles_from + GUEST_HOLDS_FOR
    return SessionStatus.SETTLED, None
