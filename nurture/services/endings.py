"""How a journey ends, and how what it owes is withdrawn with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Journey, JourneyStatus
from nurture.services.notes import Notes

#: What the withdrawn delivery says; where nothing is named, that its journey ended.
_WITHDRAWN_FOR: Mapping[str, delivery_reasons.Reason] = {
    Reason.CORRECTED: delivery_reasons.Reason.CORRECTED,
    Reason.OPTED_OUT: delivery_reasons.Reason.OPTED_OUT,
    Reason.SEQUENCE_STOPPED: delivery_reasons.Reason.SEQUENCE_STOPPED,
}
_END_FIELDS = ["status", "slot", "next_action_at", "waiting_on", "ended_at", "exit_reason"]


def withdraw(*, journey: Journey, reason: str) -> bool:
    """Cancel the delivery that a journey waits on, if it is not on the wire; return whether.

    The journey's own row is left to the caller.
    """
    if journey.waiting_on is None:
        return False
    return bool(delivery.cancel(dedupe_keys=[journey.waiting_on.dedupe_key], reason=reason))


@transaction.atomic
def exit_journey(
    *, journey: Journey, reason: str, now: datetime, notes: Notes | None = None
) -> bool:
    """End an open journey early and withdraw what it still owes, in one transaction.

    The caller holds the journey's row. Returns False where it had ended already, so it is safe
    to run twice. `notes`: where the decision goes that the caller writes itself.
    """
    if journey.status not in OPEN:
        return False
    withdraw(
        journey=journey,
        reason=_WITHDRAWN_FOR.get(reason, delivery_reasons.Reason.JOURNEY_EXITED).value,
    )
    step_key = journey.step_key
    end(journey=journey, status=JourneyStatus.EXITED, reason=reason, now=now)
    kept = Notes() if notes is None else notes
    kept.of_journey(journey, reason, now, step_key=step_key)
    if notes is None:
        kept.write()
    return True


def end(*, journey: Journey, status: JourneyStatus, reason: str, now: datetime) -> None:
    """Write that a journey is over; its place is free for another one."""
    journey.status = status
    journey.slot = journey.next_action_at = journey.waiting_on = None
    journey.ended_at = now
    journey.exit_reason = str(reason) if status == JourneyStatus.EXITED else ""
    journey.save(update_fields=_END_FIELDS)
