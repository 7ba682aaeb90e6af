"""What must never be in the tables of nurture, read off the rows, whatever led to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from delivery.models import Delivery
from nurture.domain.schedule import zone_of
from nurture.domain.sequence import SequenceSpec
from nurture.models import OPEN, Contact, Decision, Journey, JourneyStatus
from tests.wall_clock import is_open

LIVE = ("pending", "leased", "sending")


def words_of(spec: SequenceSpec, version: int) -> SequenceSpec:
    """The sequence as its n-th version says it: every text names its step and its version."""
    steps = tuple(
        type(step)(**{**vars(step), "text": f"{step.key} of version {version}."})
        if step.text
        else step
        for step in spec.steps
    )
    return SequenceSpec(**{**vars(spec), "steps": steps})


def faults_in_rows(spec: SequenceSpec) -> list[str]:
    """Everything that is wrong with journeys through this sequence, in words."""
    journeys = list(Journey.objects.order_by("id"))
    found = [*_entries(journeys, spec)]
    for journey in journeys:
        rows = deliveries_of(journey)
        found += [*_state(journey, rows), *_order(rows, spec), *_words(journey, rows)]
        for row in rows:
            found += _hours(row, journey, spec)
    return found


def deliveries_of(journey: Journey) -> list[Delivery]:
    """What a journey ever owed, in the order in which it was planned."""
    rows = Delivery.objects.filter(dedupe_key__startswith=f"journey:{journey.pk}:")
    return list(rows.order_by("id"))


def step_of(row: Delivery) -> str:
    """The key of the step that a delivery is for."""
    return row.dedupe_key.split(":")[2]


def _entries(journeys: Sequence[Journey], spec: SequenceSpec) -> Iterator[str]:
    runs = Counter((row.learner_id, row.entry_key, row.round) for row in journeys)
    for run, count in runs.items():
        if count > 1:
            yield f"run {run} {count} times"
    slots = Counter((row.learner_id, row.slot) for row in journeys if row.status in OPEN)
    for (_, slot), count in slots.items():
        if count > 1 or slot is None or slot >= spec.entry.open:
            yield f"{count} open journeys in place {slot}"


def _state(journey: Journey, rows: Sequence[Delivery]) -> Iterator[str]:
    next_ones = [one for one in (journey.next_action_at, journey.waiting_on) if one is not None]
    if journey.status == JourneyStatus.ACTIVE and len(next_ones) != 1:
        yield f"active with {len(next_ones)} next actions"
    if journey.status not in OPEN and next_ones:
        yield "over, and something is still to come"
    owed = [row for row in rows if row.status in LIVE]
    if len(owed) > 1:
        yield f"{len(owed)} messages under way at once"
    if owed and journey.waiting_on != owed[0] and owed[0].status == "pending":
        yield "a message is owed for which nobody waits"
    planned = Decision.objects.filter(journey=journey, code="step_planned").count()
    if planned != len(rows):
        yield f"{planned} decisions for {len(rows)} messages"


def _order(rows: Sequence[Delivery], spec: SequenceSpec) -> Iterator[str]:
    keys = [step.key for step in spec.steps]
    kept = [row for row in rows if row.status != "cancelled"]
    for before, after in pairwise(kept):
        if keys.index(step_of(after)) <= keys.index(step_of(before)):
            yield f"{step_of(after)} after {step_of(before)}"
        if before.settled_at is None or after.due_at < before.settled_at:
            yield f"{step_of(after)} due before {step_of(before)} had come to its end"


def _words(journey: Journey, rows: Sequence[Delivery]) -> Iterator[str]:
    """A journey speaks with the words of the version that it began with."""
    versions = {row.text.rpartition(" ")[2] for row in rows}
    if versions and versions != {f"{journey.version.number}."}:
        yield f"a journey of version {journey.version.number} says {sorted(versions)}"
    for row in rows:
        if not row.text.startswith(f"{step_of(row)} of version "):
            yield f"{step_of(row)} says {row.text!r}"


def _hours(row: Delivery, journey: Journey, spec: SequenceSpec) -> Iterator[str]:
    contact = Contact.objects.get(learner=journey.learner_id)
    opens, closes = contact.quiet_opens, contact.quiet_closes
    quiet = (opens, closes) if opens is not None and closes is not None else None
    zone = zone_of(contact.time_zone, "", "")
    if not is_open(row.due_at, window=spec.window, quiet=quiet, zone=zone):
        yield f"{step_of(row)} outside its hours: {row.due_at.astimezone(zone)}"
    if row.expires_at is not None and row.expires_at < row.due_at:
        yield f"{step_of(row)} useless before it is due"
