"""What learners say themselves: that they were there."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from attendance.domain.kinds import EventKind, ReviewKind
from attendance.models import AttendanceEvent, ClassSession, Learner, Outcome, ReviewItem
from attendance.services.questions import ask
from config import telemetry

NEWS_FOR = timedelta(hours=72)


def uphold(*, item: ReviewItem, now: datetime) -> None:
    """A person has looked, and what stands is right: whoever waits for that may go on.

    One fact for each decision. Safe to run twice.
    """
    assert item.learner_id, "a dispute is a learner's"
    assert item.session_id, "a dispute is about a class"
    AttendanceEvent.objects.bulk_create(
        [
            AttendanceEvent(
                kind=EventKind.UPHELD.value,
                learner_id=item.learner_id,
                session_id=item.session_id,
                key=f"{EventKind.UPHELD}:{item.pk}:{now:%Y%m%dT%H%M%S}",
                occurred_at=now,
                recorded_at=now,
                expires_at=now + NEWS_FOR,
                trace=telemetry.traceparent(),
            )
        ],
        ignore_conflicts=True,
    )


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
    item = ReviewItem(
        kind=ReviewKind.DISPUTE.value,
        key=key,
        session=session,
        learner=learner,
        evidence=evidence,
        created_at=now,
    )
    ask([item])
    return ReviewItem.objects.filter(key=key).latest("id")
