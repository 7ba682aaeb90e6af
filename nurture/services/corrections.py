"""What happens when a fact that caused journeys turns out not to be true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from attendance.models import ClassSession
from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.domain.states import Status
from delivery.models import ArchivedDelivery, Attempt, AttemptOutcome, Delivery
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Decision, Journey, JourneyStatus, StaffTask, TaskKind
from nurture.services.endings import exit_journey
from nurture.services.world import World

#: The learner read it, or may have: what cannot be known counts as told.
TOLD = (Status.SENT, Status.UNKNOWN)

NOTE = """\
The class "{corrected}" was corrected after the learner had been told otherwise.
{count} message(s) of the sequence "{sequence}" went out or may have; the rest is withdrawn.

Proposed words:
Hi {name}, our last message about {title} was wrong: our records were incomplete. \
They are right now. Sorry for the mix-up!"""


def retract(
    *, journeys: Iterable[Journey], world: World, corrected: ClassSession | None = None
) -> int:
    """End what a corrected fact began and withdraw what is unsent; return how many ended.

    `corrected`: the class, where it may be an earlier one than that which began them.

    The caller holds the rows. A staff task opens once for each journey of which something was
    sent or may have been. Safe to run twice: a second flip withdraws what is left and resends
    nothing.
    """
    ended, told = 0, []
    for journey in journeys:
        if journey.status in OPEN:
            ended += exit_journey(journey=journey, reason=Reason.CORRECTED, world=world)
        told.append(journey)
    _withdraw_all(told)
    ask_staff(journeys=told, world=world, corrected=corrected)
    return ended


def _withdraw_all(journeys: Iterable[Journey]) -> None:
    """Also what none waits on: staff sent it again, took it back, let it out of a dry run."""
    planned = Decision.objects.filter(journey__in=[journey.pk for journey in journeys])
    keys = [key for key in planned.values_list("delivery__dedupe_key", flat=True) if key]
    if keys:
        delivery.cancel(dedupe_keys=keys, reason=delivery_reasons.Reason.CORRECTED)


def is_disputed(journey: Journey) -> bool:
    """Whether a journey is held since its learner doubts what caused it, and by nobody else."""
    if journey.status != JourneyStatus.PAUSED:
        return False
    pauses = Decision.objects.filter(
        journey=journey, code__in=[Reason.DISPUTED, Reason.PAUSED_BY_STAFF, Reason.RESTORED]
    )
    newest = pauses.order_by("-id").first()
    return newest is not None and newest.code == Reason.DISPUTED


def ask_staff(
    *, journeys: Iterable[Journey], world: World, corrected: ClassSession | None = None
) -> int:
    """Open the task "somebody was told what was not true" of these journeys, once for each.

    Only where something was sent or is unknown; none of it can be sent again. Returns how many
    are new.
    """
    by_key = {f"false_activation:journey:{journey.pk}": journey for journey in journeys}
    planned = _planned({journey.pk for journey in by_key.values()})
    delivery.withhold(
        delivery_ids={row for _, row in planned}, reason=delivery_reasons.Reason.CORRECTED
    )
    counts = _told(planned)
    known = set(StaffTask.objects.filter(key__in=by_key).values_list("key", flat=True))
    tasks = [
        StaffTask(
            kind=TaskKind.FALSE_ACTIVATION,
            key=key,
            learner_id=journey.learner_id,
            journey=journey,
            note=_note(journey, counts[journey.pk], corrected),
            created_at=world.now,
        )
        for key, journey in by_key.items()
        if key not in known and counts[journey.pk]
    ]
    world.writes.ask(tasks)
    return len(tasks)


def _planned(journey_ids: set[int]) -> set[tuple[int, int]]:
    """Every delivery that these journeys ever owed, with its journey."""
    rows = Decision.objects.filter(journey__in=journey_ids, delivery__isnull=False)
    return {(j, d) for j, d in rows.values_list("journey_id", "delivery_id") if j and d}


def _told(planned: set[tuple[int, int]]) -> Counter[int]:
    """How many deliveries of each journey reached the learner, or may have."""
    # What this very pass planned is not among them: it cannot have been sent.
    rows = {row for _, row in planned}
    states = dict(Delivery.objects.filter(pk__in=rows).values_list("pk", "status"))
    if gone := rows - set(states):
        past = ArchivedDelivery.objects.filter(pk__in=gone)
        states |= dict(past.values_list("pk", "status"))
    sent = {pk for pk, status in states.items() if status in TOLD}
    # What staff sent again after a try of which nobody knows, whatever became of it since.
    doubted = Attempt.objects.filter(delivery__in=rows, outcome=AttemptOutcome.UNKNOWN)
    dropped = delivery_reasons.Reason.DROPPED
    sent |= set(doubted.exclude(delivery__reason=dropped).values_list("delivery_id", flat=True))
    return Counter(journey_id for journey_id, row in planned if row in sent)


def _note(journey: Journey, count: int, corrected: ClassSession | None) -> str:
    first, _, _ = journey.learner.name.strip().partition(" ")
    return NOTE.format(
        corrected=_title(corrected or journey.session),
        title=_title(journey.session),
        count=count,
        sequence=journey.sequence.name,
        name=first or "there",
    )


def _title(session: ClassSession | None) -> str:
    return (session.title or session.course.title) if session else ""


def told_too_late(*, deliveries: Iterable[Delivery], world: World) -> int:
    """Deliveries that were on the wire when their fact was corrected, and went out after all."""
    late = [
        row.pk
        for row in deliveries
        if row.withdrawal == delivery_reasons.Reason.CORRECTED and row.status in TOLD
    ]
    if not late:
        return 0
    journeys = Journey.objects.filter(decisions__delivery__in=late).distinct()
    asked = ask_staff(
        journeys=journeys.select_related("sequence", "learner", "session__course"), world=world
    )
    world.writes.write()
    return asked
