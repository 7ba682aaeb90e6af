"""A database that was brought back goes on where the one before may have been further."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from delivery.services.installation import rearm
from nurture import flags
from nurture.domain.reasons import Reason
from nurture.models import Journey
from nurture.services.holding import pause_all


@dataclass(frozen=True, kw_only=True)
class TakenOver:
    """What a person has to decide after a restore."""

    in_flight: int  # deliveries that were on their way: unknown now
    due: int  # deliveries that were due before: unknown now
    held: int  # journeys
    paused: bool  # whether the switch `nurture` was on, and stands still now


@transaction.atomic
def take_over(*, until: datetime | None, now: datetime) -> TakenOver:
    """This database sends from now on; the one before did `until` then (UTC). Safe to run twice.

    What that one may have sent becomes unknown. What it may have said next is not in this database,
    so journeys with a step that came due before are held until a person lets them go on, and
    nurture is paused: facts that are read once more must not begin once more what began there.
    """
    told = rearm(now=now, until=until)
    if until is None:
        return TakenOver(in_flight=told.in_flight, due=told.due, held=0, paused=False)
    before = Q(waiting_on__due_at__lt=until) | Q(next_action_at__lt=until)
    held = pause_all(journeys=Journey.objects.filter(before), reason=Reason.RESTORED, now=now)
    paused = flags.nurture_is_on()
    if paused:
        flags.pause_nurture()
    return TakenOver(in_flight=told.in_flight, due=told.due, held=held, paused=paused)
