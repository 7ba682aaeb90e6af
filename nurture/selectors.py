"""What others may ask of nurture."""

from __future__ import annotations

from datetime import datetime

from attendance.models import AttendanceEvent, ClassSession
from delivery.models import Delivery
from nurture.models import Decision, Journey, JourneyStatus


def has_work(*, now: datetime, settles: bool = True, advances: bool = True) -> bool:
    """Whether a pass of the engine would find something to do.

    `settles`, `advances`: whether the switches let it settle classes and move journeys. Four
    EXISTS at most, each on a partial index; cheap enough for every second.
    """
    if AttendanceEvent.objects.filter(processed_at__isnull=True).exists():
        return True
    if settles and ClassSession.objects.filter(next_check_at__lte=now).exists():
        return True
    return advances and (
        Delivery.objects.filter(settled_at__isnull=False, observed_at__isnull=True).exists()
        or Journey.objects.filter(
            status=JourneyStatus.ACTIVE, next_action_at__isnull=False, next_action_at__lte=now
        ).exists()
    )


def journeys_of(*, learner_id: int) -> list[Journey]:
    """A learner's journeys, newest first, with sequence, class and awaited message."""
    return list(
        Journey.objects.filter(learner=learner_id)
        .select_related("sequence", "version", "session", "waiting_on")
        .order_by("-started_at", "-id")
    )


def decisions_of(*, learner_id: int, sequence_id: int | None = None) -> list[Decision]:
    """What was decided about a learner, newest first; of one sequence or of all."""
    rows = Decision.objects.filter(learner=learner_id)
    if sequence_id is not None:
        rows = rows.filter(sequence=sequence_id)
    return list(
        rows.select_related("sequence", "journey", "delivery", "event").order_by(
            "-decided_at", "-id"
        )
    )
