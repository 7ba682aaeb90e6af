"""What becomes of journeys that are under way when a new version is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, QuerySet

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from nurture.domain.reasons import Reason
from nurture.domain.sequence import InFlight, SequenceSpec
from nurture.models import Journey, JourneyStatus, Sequence, SequenceVersion
from nurture.services.endings import exit_journey
from nurture.services.journeys import (
    change_version,
    locked,
    open_journeys,
    plan_next,
    was_in_time,
)
from nurture.services.world import World


@dataclass(frozen=True, kw_only=True)
class InFlightReport:
    """How many open journeys go which way; together they are all that were open."""

    moved: int = 0  # go on by the new version at once
    awaiting: int = 0  # will, at the next step that both versions have
    finishing: int = 0  # end as they began
    exited: int = 0


def preview_in_flight(
    *, sequence: Sequence, version: SequenceVersion, policy: InFlight, now: datetime
) -> InFlightReport:
    """What publishing `version` would do to the journeys under way; nothing is written.

    Counted by version and step, so it costs the same however many there are.
    """
    world = World(now=now)
    newer = _keys(version, world)
    counts: Counter[str] = Counter()
    groups = _under_way(sequence, version).order_by().values_list("version_id", "step_key")
    for version_id, step_key, count in groups.annotate(count=Count("pk")):
        counts[_fate(step_key, world.spec(version_id), newer, policy)] += count
    return InFlightReport(**counts)


@transaction.atomic
def settle_in_flight(
    *,
    sequence: Sequence,
    version: SequenceVersion,
    policy: InFlight,
    now: datetime,
    among: QuerySet[Journey] | None = None,
) -> InFlightReport:
    """Let the journeys of older versions finish, move or end; say how many of each.

    `among`: only these; None = all of the sequence.

    What a moving journey owes is withdrawn and planned again by the new version, unless it is on
    the wire. Safe to run twice: who has moved is of the new version.
    """
    world = World(now=now)
    under_way = _under_way(sequence, version)
    if among is not None:
        under_way = under_way.filter(pk__in=among.order_by().values("pk"))
    rows = list(locked(under_way))
    sorted_out = _sorted_out(rows, version, policy, world)
    for journey in sorted_out["awaiting"]:
        journey.moves_to = version
        world.writes.change(journey)
    for journey in sorted_out["exited"]:
        exit_journey(journey=journey, reason=Reason.VERSION_REPLACED, world=world)
    _move(sorted_out["moved"], version, world)
    world.writes.write()
    return _count(sorted_out)


def _under_way(sequence: Sequence, version: SequenceVersion) -> QuerySet[Journey]:
    return open_journeys().filter(sequence=sequence).exclude(version=version)


def _sorted_out(
    journeys: Iterable[Journey], version: SequenceVersion, policy: InFlight, world: World
) -> dict[str, list[Journey]]:
    rows = list(journeys)
    world.read(rows)
    newer = _keys(version, world)
    found: dict[str, list[Journey]] = {"moved": [], "awaiting": [], "finishing": [], "exited": []}
    for journey in rows:
        fate = _fate(journey.step_key, world.spec(journey.version_id), newer, policy)
        found[fate].append(journey)
    return found


def _keys(version: SequenceVersion, world: World) -> set[str]:
    return {step.key for step in world.spec(version.pk).steps}


def _fate(step_key: str, older: SequenceSpec, newer: set[str], policy: InFlight) -> str:
    if policy is InFlight.EXIT:
        return "exited"
    if policy is InFlight.FINISH:
        return "finishing"
    if step_key in newer:
        return "moved"
    keys = [step.key for step in older.steps]
    at = keys.index(step_key) if step_key in keys else len(keys)
    return "awaiting" if newer.intersection(keys[at:]) else "finishing"


def _move(journeys: list[Journey], version: SequenceVersion, world: World) -> None:
    owed = [row.waiting_on.dedupe_key for row in journeys if row.waiting_on]
    withdrawn = delivery.cancel_each(dedupe_keys=owed, reason=delivery_reasons.Reason.WITHDRAWN)
    for journey in journeys:
        journey.moves_to = version
        change_version(journey, world, at=journey.step_key)
        planned = journey.waiting_on
        free = planned is None or planned.dedupe_key in withdrawn
        if free and journey.status == JourneyStatus.ACTIVE:
            waited = "time" if planned and was_in_time(journey, planned, world) else ""
            plan_next(journey=journey, world=world, current=journey.step_key, waited=waited)


def _count(sorted_out: dict[str, list[Journey]]) -> InFlightReport:
    return InFlightReport(**{name: len(rows) for name, rows in sorted_out.items()})
