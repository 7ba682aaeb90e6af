"""What learners say themselves: that they were there."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from attendance.domain.kinds import ReviewKind
from attendance.models import ClassSession, Learner, Outcome, ReviewItem


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
