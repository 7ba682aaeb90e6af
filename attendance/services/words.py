"""What learners say themselves: that they will come, and that they were there."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from attendance.domain.kinds import EventKind, PledgeState, ReviewKind
from attendance.models import AttendanceEvent, ClassSession, Learner, Outcome, Pledge, ReviewItem

PLEDGE_IS_NEWS_FOR = timedelta(hours=72)


@transaction.atomic
def pledge(
    *, learner: Learner, session: ClassSession, answer: bool, source: str, now: datetime
) -> Pledge:
    """Record whether a learner will come to a class; the latest answer counts.

    A yes also goes out as the fact `pledged`, once per class. Safe to run twice.
    """
    state = PledgeState.YES if answer else PledgeState.NO
    found, _ = Pledge.objects.update_or_create(
        learner=learner,
        session=session,
        defaults={"state": state.value, "answered_at": now, "source": source},
    )
    if answer:
        AttendanceEvent.objects.bulk_create(
            [
                AttendanceEvent(
                    kind=EventKind.PLEDGED.value,
                    learner=learner,
                    session=session,
                    key=f"{EventKind.PLEDGED}:{learner.pk}:{session.pk}",
                    occurred_at=now,
                    recorded_at=now,
                    expires_at=now + PLEDGE_IS_NEWS_FOR,
                )
            ],
            ignore_conflicts=True,
        )
    return found


@transaction.atomic
def open_dispute(
    *, learner: Learner, session: ClassSession, note: str, now: datetime
) -> ReviewItem:
    """A learner says "I was there": ask staff, once per class, with the evidence we have."""
    key = f"{ReviewKind.DISPUTE}:{learner.pk}:{session.pk}"
    outcome = Outcome.objects.filter(learner=learner, session=session, is_current=True).first()
    evidence = {
        "note": note,
        "outcome": outcome.outcome if outcome else None,
        "present_seconds": outcome.present_seconds if outcome else None,
        "inputs": outcome.inputs if outcome else None,
    }
    ReviewItem.objects.bulk_create(
        [
            ReviewItem(
                kind=ReviewKind.DISPUTE.value,
                key=key,
                session=session,
                learner=learner,
                evidence=evidence,
                created_at=now,
            )
        ],
        ignore_conflicts=True,
    )
    return ReviewItem.objects.filter(key=key).latest("created_at")
