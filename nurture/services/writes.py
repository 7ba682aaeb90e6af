"""What a pass has decided, on its way into the tables: one statement for each kind of row.

Deciding writes nothing. So the number of statements does not grow with the number of journeys,
and what fails is undone by forgetting it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection

from attendance.models import AttendanceEvent
from delivery import services as delivery
from delivery.models import Delivery
from nurture.models import (
    ContactTag,
    Decision,
    HoldoutAssignment,
    Journey,
    StaffTask,
)

#: The columns of a journey that change after its start, each with its type.
_COLUMNS = {
    "version_id": "bigint",
    "moves_to_id": "bigint",
    "status": "text",
    "slot": "smallint",
    "step_key": "text",
    "anchor_at": "timestamptz",
    "next_action_at": "timestamptz",
    "waiting_on_id": "bigint",
    "steps_taken": "smallint",
    "replans": "smallint",
    "paused_at": "timestamptz",
    "ended_at": "timestamptz",
    "exit_reason": "text",
}
_UPDATE = """
UPDATE user_nurture_journeys j SET {sets}
  FROM unnest(%s::bigint[], {arrays}) AS v(id, {names}) WHERE j.id = v.id
""".format(
    sets=", ".join(f"{name} = v.{name}" for name in _COLUMNS),
    arrays=", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values()),
    names=", ".join(_COLUMNS),
)
# As many keys at once as a pass may need: one statement instead of one for each journey.
_KEYS = """
SELECT nextval(pg_get_serial_sequence('user_nurture_journeys', 'id'))
  FROM generate_series(1, 100)
"""


@dataclass
class Writes:
    """Rows that are not written yet; they go together, or not at all."""

    decisions: list[Decision] = field(default_factory=list)
    _started: dict[int, Journey] = field(default_factory=dict)
    _changed: dict[int, Journey] = field(default_factory=dict)
    _owed: list[Delivery] = field(default_factory=list)
    _withdrawn: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _tags: dict[tuple[int, str], bool] = field(default_factory=dict)
    _tasks: list[StaffTask] = field(default_factory=list)
    _holdouts: list[HoldoutAssignment] = field(default_factory=list)
    _keys: deque[int] = field(default_factory=deque)
    #: How many were written: journeys begun, messages planned.
    journeys: int = 0
    deliveries: int = 0

    def note(
        self,
        *,
        learner_id: int,
        code: str,
        now: datetime,
        sequence_id: int | None = None,
        journey: Journey | None = None,
        step_key: str = "",
        inputs: dict[str, Any] | None = None,
        delivery: Delivery | None = None,
        event: AttendanceEvent | None = None,
    ) -> None:
        """Note one thing that was decided, and from what."""
        self.decisions.append(
            Decision(
                learner_id=learner_id,
                sequence_id=journey.sequence_id if journey else sequence_id,
                journey=journey,
                step_key=step_key,
                code=str(code),
                inputs=inputs or {},
                delivery=delivery,
                event=event,
                decided_at=now,
            )
        )

    def note_of(
        self,
        journey: Journey,
        code: str,
        now: datetime,
        *,
        step_key: str = "",
        inputs: dict[str, Any] | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Note something about a journey."""
        self.note(
            learner_id=journey.learner_id,
            code=code,
            now=now,
            journey=journey,
            step_key=step_key,
            inputs=inputs,
            delivery=delivery,
        )

    def start(self, journey: Journey) -> None:
        """A journey begins; it has its key from now on."""
        if not self._keys:
            with connection.cursor() as cursor:
                cursor.execute(_KEYS)
                self._keys.extend(key for (key,) in cursor.fetchall())
        journey.pk = self._keys.popleft()
        self._started[journey.pk] = journey

    def change(self, journey: Journey) -> None:
        """A journey stands elsewhere than before."""
        if journey.pk not in self._started:
            self._changed[journey.pk] = journey

    def owe(self, row: Delivery) -> None:
        """A message is planned."""
        self._owed.append(row)

    def withdraw(self, row: Delivery, reason: str) -> None:
        """A message is to be cancelled, if it is not on the wire."""
        self._withdrawn[str(reason)].append(row.dedupe_key)

    def tag(self, contact_id: int, name: str, *, on: bool) -> None:
        """A tag is put on a contact or taken off; the last word counts."""
        self._tags[contact_id, name] = on

    def ask(self, tasks: Iterable[StaffTask]) -> None:
        """Staff are asked, once for each key."""
        self._tasks.extend(tasks)

    def hold_out(self, row: HoldoutAssignment) -> None:
        """A learner's draw for a holdout, kept for ever."""
        self._holdouts.append(row)

    def write(self) -> None:
        """Write everything, in the caller's transaction. Statements: at most a dozen."""
        delivery.enqueue_many(drafts=self._owed)
        for reason, keys in self._withdrawn.items():
            delivery.cancel(dedupe_keys=keys, reason=reason)
        HoldoutAssignment.objects.bulk_create(self._holdouts, ignore_conflicts=True)
        Journey.objects.bulk_create(self._started.values())
        _update(list(self._changed.values()))
        _write_tags(self._tags)
        StaffTask.objects.bulk_create(self._tasks, ignore_conflicts=True)
        Decision.objects.bulk_create(self.decisions)
        self.journeys += len(self._started)
        self.deliveries += len(self._owed)
        self.forget()

    def forget(self) -> None:
        """Drop what is not written."""
        for kind in (
            self.decisions, self._started, self._changed, self._owed, self._withdrawn,
            self._tags, self._tasks, self._holdouts,
        ):  # fmt: skip
            kind.clear()


def _update(journeys: list[Journey]) -> None:
    if not journeys:
        return
    for journey in journeys:  # a message that was only planned has its key by now
        journey.waiting_on_id = journey.waiting_on.pk if journey.waiting_on else None
    columns = [[getattr(journey, name) for journey in journeys] for name in _COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(_UPDATE, [[journey.pk for journey in journeys], *map(_plain, columns)])


def _plain(values: list[Any]) -> list[Any]:
    """Choices as the strings they are."""
    return [str(value) if isinstance(value, str) else value for value in values]


def _write_tags(tags: dict[tuple[int, str], bool]) -> None:
    ContactTag.objects.bulk_create(
        [ContactTag(contact_id=contact, name=name) for (contact, name), on in tags.items() if on],
        ignore_conflicts=True,
    )
    gone: dict[str, list[int]] = defaultdict(list)
    for (contact, name), on in tags.items():
        if not on:
            gone[name].append(contact)
    for name, contacts in gone.items():
        ContactTag.objects.filter(contact__in=contacts, name=name).delete()
