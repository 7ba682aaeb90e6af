"""From records to outcomes, and from outcomes to facts, when their time has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from attendance.domain.kinds import (
    PRESENT_KINDS,
    Flag,
    Origin,
    OutcomeKind,
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
from attendance.models import ClassSession, Outcome, ReviewItem
from attendance.selectors.evidence import Evidence, evidence
from attendance.services.facts import Change, publish
from attendance.services.pledges import close_pledges
from attendance.services.questions import answer_itself, ask, guest_question

# While the log is incomplete a class is looked at again after each reading; this is the net.
LOOK_AGAIN = timedelta(minutes=10)
LOOK_AGAIN_LATER = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=7)

# What only waits for its time does not take back what already had effect.
_MATTERS_OF_TIME = frozenset({Reason.NOT_SETTLED_YET, Reason.SYNC_INCOMPLETE, Reason.GOOGLE_DARK})
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
    pending: int = 0  # learners of whom nothing can be concluded yet


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
            total.settled + report.settled,
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
    return _settle(session, now)


@transaction.atomic
def settle_session(*, session_id: int, now: datetime, late_counts: bool = False) -> SettleReport:
    """Evaluate one class now, whether it is due or not. Safe to run twice.

    `late_counts`: a person's decision brought the change, so an outcome that is frozen for
    late records follows it, too. Facts go out within 72 hours of the class all the same, but what
    was said before is taken back at any time.
    """
    session = ClassSession.objects.select_for_update(no_key=True).get(pk=session_id)
    return SettleReport() if now < session.ends_at else _settle(session, now, late_counts)


@transaction.atomic
def take_back(*, outcome: Outcome, now: datetime) -> Outcome:
    """Let the records speak again where a person had decided; return what stands then.

    Raises ValueError where nobody had decided, or another revision stands already.
    """
    session = ClassSession.objects.select_for_update(no_key=True).get(pk=outcome.session_id)
    before = Outcome.objects.get(pk=outcome.pk)
    if before.origin != Origin.STAFF or not before.is_current:
        raise ValueError("no person's decision stands here")
    known, work = evidence(session=session), _Work()
    learner, conclusion = known.conclusion(learner_id=before.learner_id, now=now)
    after = _outcome(known, before.learner_id, learner, conclusion, before, now)
    _replace(work, before, after)
    _write(known, work, now)
    return after


@transaction.atomic
def take_absences_back(*, session_id: int, now: datetime) -> None:
    """Nobody was absent from a class that is still to come: it moved after it was judged.

    It is judged again when it is over. A person's word stands. Safe to run twice.
    """
    absent = Outcome.objects.filter(
        session=session_id, outcome=OutcomeKind.MISSED, effective=True, is_current=True,
        origin=Origin.ENGINE, learner__erased_at=None,
    )  # fmt: skip
    if not absent.exists():
        return
    session = ClassSession.objects.select_for_update(no_key=True).get(pk=session_id)
    known, work = evidence(session=session), _Work()
    for before in absent.select_related("learner"):
        learner, conclusion = known.conclusion(learner_id=before.learner_id, now=now)
        after = _outcome(known, before.learner_id, learner, conclusion, None, now)
        after.revision = before.revision + 1
        _replace(work, before, after)
    _write(known, work, now)


def _settle(session: ClassSession, now: datetime, late_counts: bool = False) -> SettleReport:
    known = evidence(session=session)
    work = _evaluate(known, now, late_counts)
    events = _write(known, work, now)
    _ask(known, work, now)
    if known.known.confirmed:
        _move_on(known, work, now)
    return SettleReport(settled=1, outcomes=len(work.new), events=events)


def _evaluate(known: Evidence, now: datetime, late_counts: bool) -> _Work:
    current = {
        outcome.learner_id: outcome
        for outcome in Outcome.objects.filter(
            session=known.session, is_current=True
        ).select_related("learner")
    }
    work = _Work()
    freezes_at = None if late_counts else known.known.settles_from + FACTS_FIRE_FOR
    for learner_id in sorted(known.expected):
        learner, conclusion = known.conclusion(learner_id=learner_id, now=now)
        work.pending += conclusion.outcome == OutcomeKind.PENDING
        before = current.get(learner_id)
        if before is not None and (before.origin != Origin.ENGINE or before.learner.erased_at):
            continue  # a person's word stands, and so does what was known of who was erased
        after = _outcome(known, learner_id, learner, conclusion, before, now)
        _compare(known, work, before, after, freezes_at=freezes_at, now=now)
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
        policy=known.policy_row if known.policy_row.pk else None,
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
    known: Evidence,
    work: _Work,
    before: Outcome | None,
    after: Outcome,
    *,
    freezes_at: datetime | None,
    now: datetime,
) -> None:
    """Decide between a new revision, a change of effect, a question to staff, and nothing."""
    if before is not None and _conclusion(before) == _conclusion(after):
        _keep(work, before, after)
        return
    if before is not None and _is_frozen(known, before, freezes_at, now):
        work.reviews.append(_review(ReviewKind.LATE_RECORD, known, after, now))
        return
    _replace(work, before, after)
    if after.effective and Flag.BRIEF in after.flags:
        work.reviews.append(_review(ReviewKind.BRIEF, known, after, now))


def _is_frozen(
    known: Evidence, before: Outcome, freezes_at: datetime | None, now: datetime
) -> bool:
    """Say whether records come too late for it: it had effect while it was fresh.

    An old class that is read for the first time is fresh until it has settled, so that half a
    reading freezes nothing.
    """
    if freezes_at is None or now < freezes_at or before.effective_at is None:
        return False
    return known.session.settled_at is not None or before.effective_at < freezes_at


def _replace(work: _Work, before: Outcome | None, after: Outcome) -> None:
    if before is not None:
        work.replaced.append(before.pk)
    work.new.append(after)
    corrects = before is not None and before.effective and _takes_back(before, after)
    newly = after.effective and (before is None or not before.effective or corrects)
    if corrects or newly:
        work.changes.append(Change(after, corrects))


def _takes_back(before: Outcome, after: Outcome) -> bool:
    """Say whether what was concluded is true no more: of who was seen after all, if briefly, no
    absence is said without staff."""
    seen = Flag.BRIEF in after.flags and Flag.BRIEF not in before.flags
    return before.outcome != after.outcome or seen


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
    close_pledges(session=known.session, outcomes=[change.outcome for change in work.changes])
    return publish(session=known.session, changes=work.changes, now=now)


def _ask(known: Evidence, work: _Work, now: datetime) -> None:
    """Ask staff what records cannot tell, and take back what has answered itself."""
    session, settles_from = known.session, known.known.settles_from
    questions = list(work.reviews)
    if known.known.confirmed and now >= settles_from + known.policy.settle_positive:
        unseen = [who for who in known.expected.values() if not who.seen]
        questions += [
            guest_question(
                session=session,
                guest=guest,
                hint=found,
                holds=sum(found.could_be(who, guest) for who in unseen),
                now=now,
            )
            for guest, found in known.guests
        ]
    is_over = known.known.confirmed and now >= settles_from + known.policy.settle_missed
    doubts = {
        ReviewKind.LOW_SHARE: known.known.few_seen,
        ReviewKind.NO_DATA: known.known.online
        and known.known.log_complete
        and not known.known.anyone_seen,
    }
    if is_over:
        questions += [_doubt(kind, known, now) for kind, holds in doubts.items() if holds]
    ask(questions)
    settled = [_doubt_key(kind, session) for kind, holds in doubts.items() if not holds]
    answer_itself(keys=settled, now=now)


def _doubt(kind: ReviewKind, known: Evidence, now: datetime) -> ReviewItem:
    seen = sum(who.seen for who in known.expected.values())
    return ReviewItem(
        kind=kind.value,
        key=_doubt_key(kind, known.session),
        session=known.session,
        evidence={"expected": len(known.expected), "seen": seen},
        created_at=now,
    )


def _doubt_key(kind: ReviewKind, session: ClassSession) -> str:
    return f"{kind}:{session.pk}"


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
    if not known.known.online:
        return SessionStatus.NO_DATA, None  # a link, or a call, brings it back
    if now < settles_from + policy.settle_positive:
        return SessionStatus.ENDED, settles_from + policy.settle_positive
    if now < settles_from + policy.settle_missed:
        return SessionStatus.SETTLING, settles_from + policy.settle_missed
    held_until = settles_from + GUEST_HOLDS_FOR
    look_again = now + (LOOK_AGAIN if now < held_until else LOOK_AGAIN_LATER)
    if not known.known.log_complete:
        if now >= settles_from + GIVE_UP_AFTER:
            return SessionStatus.NO_DATA, None
        return SessionStatus.SETTLING, look_again
    if not known.known.anyone_seen:
        return SessionStatus.NO_DATA, None
    if work.pending:
        # A guest, or so few, holds until a person says or the day is over. While Google is dark
        # nobody knows until when.
        waits_for_staff = known.known.google_answers and now < held_until
        return SessionStatus.SETTLING, held_until if waits_for_staff else look_again
    return SessionStatus.SETTLED, None
