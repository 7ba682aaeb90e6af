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
from nurture.services.asking import not_heard
from nurture.services.corrections import told_too_late
from nurture.services.endings import exit_journey
from nurture.services.guard import all_at_once, one_journey
from nurture.services.journeys import continue_after, locked, open_journeys
from nurture.services.tally import Tally
from nurture.services.world import World
from nurture.services.writes import Writes

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
def observe_deliveries(*, now: datetime, limit: int = 500, tally: Tally | None = None) -> int:
    """Let journeys go on whose message has come to its end; return how many ends were noted.

    One transaction: a delivery is marked observed where its journey is moved. Safe to run twice
    and in many workers: journeys that somebody else holds are left for the next pass. A paused
    journey keeps waiting; `resume` looks at its message.
    """
    settled = delivery.claim_settled(limit=limit)
    if not settled:
        return 0
    total = tally or Tally()
    journeys, held = _waiting_on(settled)
    done = [row for row in settled if row.pk not in held]
    moving = {pk: row for pk, row in journeys.items() if row.status == JourneyStatus.ACTIVE}
    world = World(now=now)
    world.read(moving.values())

    def all_of_them() -> None:
        for row in done:
            if row.pk in moving:
                _go_on(moving[row.pk], row, world)

    if all_at_once(all_of_them, world=world):
        total.add(world.writes)
    else:
        for row in done:
            if row.pk in moving:
                total.add(_go_on_alone(moving[row.pk], row, now))
    told_too_late(deliveries=done, world=World(now=now))
    silent = {row.pk: reason for row in done if (reason := _silenced(row)) is not None}
    not_heard(ends=silent, now=now)
    delivery.mark_observed(deliveries=done)
    return len(done)


def _go_on_alone(journey: Journey, settled: Delivery, now: datetime) -> Writes:
    world = World(now=now)
    fresh = open_journeys().get(pk=journey.pk)  # without what the failed pass left in memory
    with one_journey(fresh, world):
        _go_on(fresh, settled, world)
    return world.writes


def _waiting_on(settled: Iterable[Delivery]) -> tuple[dict[int, Journey], set[int]]:
    """The journeys that wait on these deliveries, and the deliveries whose journey is held."""
    keys = [row.pk for row in settled]
    rows = locked(open_journeys().filter(waiting_on__in=keys), skip_locked=True)
    journeys = {journey.waiting_on_id: journey for journey in rows if journey.waiting_on_id}
    if len(journeys) == len(keys):
        return journeys, set()
    waiting = Journey.objects.filter(waiting_on__in=set(keys) - set(journeys))
    held = set(waiting.values_list("waiting_on_id", flat=True))
    return journeys, {key for key in held if key is not None}


def _silenced(settled: Delivery) -> Reason | None:
    return {str(code): reason for code, reason in SILENCED.items()}.get(settled.reason)


def _go_on(journey: Journey, settled: Delivery, world: World) -> None:
    silenced = _silenced(settled)
    if silenced is not None:
        exit_journey(journey=journey, reason=silenced, world=world)
    else:
        continue_after(journey=journey, settled=settled, world=world)
