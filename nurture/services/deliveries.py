"""What became of the messages that journeys wait on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.models import Delivery
from nurture.domain.reasons import Reason
from nurture.models import Journey, JourneyStatus
from nurture.services.corrections import told_too_late
from nurture.services.endings import exit_journey
from nurture.services.guard import one_journey
from nurture.services.journeys import continue_after, locked, open_journeys
from nurture.services.world import Tally, World

#: Ends after which nothing more can be said to this learner.
SILENCED = {
    delivery_reasons.Reason.OPTED_OUT: Reason.OPTED_OUT,
    delivery_reasons.Reason.NO_CONSENT: Reason.OPTED_OUT,
    delivery_reasons.Reason.CHAT_BLOCKED: Reason.UNREACHABLE,
    delivery_reasons.Reason.CHAT_NEVER_STARTED: Reason.UNREACHABLE,
    delivery_reasons.Reason.CHAT_DEACTIVATED: Reason.UNREACHABLE,
    delivery_reasons.Reason.CHAT_GONE: Reason.UNREACHABLE,
}


@transaction.atomic
def observe_deliveries(*, now: datetime, limit: int = 200, tally: Tally | None = None) -> int:
    """Let journeys go on whose message has come to its end; return how many ends were noted.

    One transaction: a delivery is marked observed where its journey is moved. Safe to run twice
    and in many workers: journeys that somebody else holds are left for the next pass. A paused
    journey keeps waiting; `resume` looks at its message.
    """
    settled = delivery.claim_settled(limit=limit)
    if not settled:
        return 0
    world = World(now=now, tally=tally or Tally())
    journeys, held = _waiting_on(settled)
    world.load_contacts(journey.learner_id for journey in journeys.values())
    done = [row for row in settled if row.pk not in held]
    for row in done:
        journey = journeys.get(row.pk)
        if journey is not None and journey.status == JourneyStatus.ACTIVE:
            with one_journey(journey, world):
                _go_on(journey, row, world)
    told_too_late(deliveries=done, world=world)
    world.notes.write()
    delivery.mark_observed(deliveries=done)
    return len(done)


def _waiting_on(settled: Iterable[Delivery]) -> tuple[dict[int, Journey], set[int]]:
    """The journeys that wait on these deliveries, and the deliveries whose journey is held."""
    keys = [row.pk for row in settled]
    waiting = set(
        Journey.objects.filter(waiting_on__in=keys).values_list("waiting_on_id", flat=True)
    )
    rows = locked(open_journeys().filter(waiting_on__in=keys), skip_locked=True)
    journeys = {journey.waiting_on_id: journey for journey in rows if journey.waiting_on_id}
    return journeys, {key for key in waiting if key is not None} - set(journeys)


def _go_on(journey: Journey, settled: Delivery, world: World) -> None:
    silenced = {str(code): reason for code, reason in SILENCED.items()}.get(settled.reason)
    if silenced is not None:
        exit_journey(journey=journey, reason=silenced, now=world.now, notes=world.notes)
    else:
        continue_after(journey=journey, settled=settled, world=world)
