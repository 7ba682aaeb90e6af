"""How a journey ends, and how what it owes is withdrawn with it."""

from __future__ import annotations

from collections.abc import Mapping

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Journey, JourneyStatus
from nurture.services.world import World

#: What the withdrawn delivery says; where nothing is named, that its journey ended.
_WITHDRAWN_FOR: Mapping[str, delivery_reasons.Reason] = {
    Reason.CORRECTED: delivery_reasons.Reason.CORRECTED,
    Reason.OPTED_OUT: delivery_reasons.Reason.OPTED_OUT,
    Reason.ERASED: delivery_reasons.Reason.ERASED,
    Reason.SEQUENCE_STOPPED: delivery_reasons.Reason.SEQUENCE_STOPPED,
}


def withdraw(*, journey: Journey, reason: str, world: World) -> bool:
    """Cancel at once the delivery that a journey waits on; False where it is on the wire or gone.

    The journey's own row is left to the caller.
    """
    row = journey.waiting_on
    if row is None:
        return False
    if row._state.adding:  # planned in this very pass
        world.writes.withdraw(row, reason)
        return True
    return bool(delivery.cancel(dedupe_keys=[row.dedupe_key], reason=reason))


def exit_journey(*, journey: Journey, reason: str, world: World) -> bool:
    """End an open journey early and withdraw what it still owes.

    The caller holds the journey's row, and writes `world.writes`. Returns False where it had
    ended already, so it is safe to run twice.
    """
    if journey.status not in OPEN:
        return False
    if journey.waiting_on is not None:
        said = _WITHDRAWN_FOR.get(reason, delivery_reasons.Reason.JOURNEY_EXITED)
        world.writes.withdraw(journey.waiting_on, said.value)
    step_key = journey.step_key
    end(journey=journey, status=JourneyStatus.EXITED, reason=reason, world=world)
    world.writes.note_of(journey, reason, world.now, step_key=step_key)
    return True


def end(*, journey: Journey, status: JourneyStatus, reason: str, world: World) -> None:
    """A journey is over; its place is free for another one."""
    journey.status = status
    journey.slot = journey.next_action_at = journey.waiting_on = None
    journey.paused_at = journey.moves_to = None
    journey.ended_at = world.now
    journey.exit_reason = str(reason) if status == JourneyStatus.EXITED else ""
    world.writes.change(journey)
