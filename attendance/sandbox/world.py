"""A cohort of our own making: learners, weekly classes, what they did, and the truth about it.

The same arguments give the same world. Its figures prove our logic, not the world outside.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from attendance.domain.kinds import OutcomeKind
from attendance.sandbox.fake import FakeGoogle
from attendance.sandbox.shapes import (
    CallInfo,
    Record,
    calendar_event,
    call_ended,
    cancelled_instance,
    instance_id,
)

CLASS_LENGTH = timedelta(minutes=60)
# The newest class ended this long before `now`: absences are settled three hours after a class.
NEWEST_ENDED = timedelta(minutes=195)
WEEK = timedelta(days=7)
WEEKS_AHEAD = 2

_FIRST_NAMES = [
    "Rosa",
    "Amir",
    "Lena",
    "Tomas",
    "Ines",
    "Pavel",
    "Noor",
    "Jonas",
    "Mei",
    "Sofia",
    "Kwame",
    "Elif",
    "Mateo",
    "Hana",
    "Oskar",
    "Priya",
    "Luca",
    "Zofia",
    "Idris",
    "Clara",
    "Yuto",
    "Marta",
    "Nils",
    "Farah",
    "Diego",
    "Anouk",
    "Samir",
    "Greta",
    "Bruno",
    "Leila",
]
_LAST_NAMES = [
    "Maro",
    "Lindt",
    "Okoye",
    "Varga",
    "Benali",
    "Sato",
    "Duarte",
    "Holm",
    "Petrov",
    "Kaya",
    "Moreau",
    "Silva",
    "Novak",
    "Haddad",
    "Brandt",
    "Costa",
    "Ahmadi",
    "Wirth",
    "Ferro",
    "Nguyen",
    "Ortega",
    "Blum",
    "Rashid",
    "Keller",
    "Dumont",
]
_ZONES = (
    "Europe/Madrid",
    "America/New_York",
    "Asia/Kolkata",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Australia/Sydney",
    "Africa/Lagos",
    "",
)
_COURSES = (("Spanish A2", "spanish"), ("Data basics", "data"))
_PLANS = ("whole", "rejoin", "devices", "late", "left_early", "partial", "missed")
_WEIGHTS = (50, 9, 9, 9, 7, 4, 12)
_TRUTH = {
    "late": OutcomeKind.LATE,
    "left_early": OutcomeKind.LEFT_EARLY,
    "partial": OutcomeKind.PARTIAL,
    "missed": OutcomeKind.MISSED,
}


@dataclass(frozen=True)
class LearnerRow:
    """A learner as a line of the import file; `joins_as` is how the log spells the address."""

    email: str
    name: str
    timezone: str
    telegram_chat_id: int
    courses: tuple[str, ...]
    joins_as: str


@dataclass(frozen=True)
class Class:
    """One held class."""

    calendar_id: str
    event_id: str
    meeting_code: str
    starts_at: datetime
    newest: int  # 0: the newest of its course, 1: the one before …


@dataclass
class World:
    """Everything that Google would know, and what is true."""

    learners: list[LearnerRow] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)  # calendar id → title
    calendars: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    classes: list[Class] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    truth: dict[tuple[str, str], OutcomeKind] = field(default_factory=dict)  # (email, event id)

    def google(self, clock: Callable[[], datetime] | None = None) -> FakeGoogle:
        """Return a fake Google that knows this world; with `clock`, only what it shows by then."""
        return FakeGoogle(records=self.records, calendars=self.calendars, clock=clock)


def build_world(*, now: datetime, weeks: int = 4, learners: int = 24, seed: int = 1) -> World:
    """Make a cohort whose newest class has just been settled at `now`.

    Two courses with one class a week for `weeks` weeks up to `now` and two weeks ahead. One
    class was moved by a day, one cancelled, one call broke and was started again. People
    rejoin, use two devices, come late, leave early or miss; a host and strangers are there.
    """
    return _Builder(now=now, weeks=weeks, seed=seed).build(learners)


class _Builder:
    def __init__(self, *, now: datetime, weeks: int, seed: int) -> None:
        self.random = random.Random(f"{seed}")
        self.now = now
        self.weeks = weeks
        self.world = World()

    def build(self, learners: int) -> World:
        for number, (title, slug) in enumerate(_COURSES):
            self._add_course(number, title, f"{slug}@group.calendar.example")
        for index in range(learners):
            self.world.learners.append(self._learner(index))
        for held in self.world.classes:
            self._hold(held)
        self._duplicate_some()
        self.random.shuffle(self.world.records)
        return self.world

    # --- the plan -----------------------------------------------------------------------------

    def _add_course(self, number: int, title: str, calendar_id: str) -> None:
        code = "-".join(self._letters(size) for size in (3, 4, 3))
        master = self._letters(20)
        # The second course has its class two days before the first.
        newest = _to_five_minutes(self.now - NEWEST_ENDED - CLASS_LENGTH) - timedelta(
            days=2 * number
        )
        self.world.titles[calendar_id] = title
        events = self.world.calendars.setdefault(calendar_id, [])
        for back in range(self.weeks - 1, -WEEKS_AHEAD - 1, -1):
            planned = newest - back * WEEK
            event_id = instance_id(recurring_id=master, original_start_at=planned)
            if number == 1 and self.weeks > 2 and back == self.weeks - 2:
                events.append(
                    cancelled_instance(
                        event_id=event_id, recurring_id=master, original_start_at=planned
                    )
                )
                continue
            moved = number == 0 and self.weeks > 2 and back == self.weeks - 2
            starts_at = planned + timedelta(days=1) if moved else planned
            events.append(
                calendar_event(
                    event_id=event_id,
                    starts_at=starts_at,
                    ends_at=starts_at + CLASS_LENGTH,
                    title=title,
                    meeting_code=code,
                    organizer_email="host@school.example",
                    recurring_id=master,
                    original_start_at=planned,
                )
            )
            if back >= 0:
                self.world.classes.append(Class(calendar_id, event_id, code, starts_at, back))

    def _learner(self, index: int) -> LearnerRow:
        first = _FIRST_NAMES[index % len(_FIRST_NAMES)]
        last = _LAST_NAMES[(index * 7 + index // len(_FIRST_NAMES)) % len(_LAST_NAMES)]
        email = joins_as = f"{first}.{last}{index}@mail.example".lower()
        if index % 4 == 1:
            email = f"{first}.{last}.{index}@gmail.com"
            joins_as = f"{first}{last}{index}@gmail.com".lower()
        elif index % 4 == 3:
            email = f"{first}{last}{index}+class@googlemail.com".lower()
            joins_as = f"{first}.{last}{index}@gmail.com".lower()
        calendars = list(self.world.calendars)
        courses = calendars if index % 3 == 0 else [calendars[index % len(calendars)]]
        return LearnerRow(
            email=email,
            name=f"{first} {last}",
            timezone=_ZONES[index % len(_ZONES)],
            telegram_chat_id=700_001 + index,
            courses=tuple(courses),
            joins_as=joins_as,
        )

    # --- what happened ------------------------------------------------------------------------

    def _hold(self, held: Class) -> None:
        event_id = held.event_id if self.random.random() > 0.15 else ""
        call = CallInfo(self._letters(12), held.meeting_code, event_id, "host@school.example")
        starts_at = held.starts_at
        self._stay(
            call,
            starts_at,
            -2,
            60 + self.random.uniform(0, 3),
            "host@school.example",
            external=False,
        )
        if self.random.random() < 0.3:
            self._stay(call, starts_at, 1, 58, f"guest{self._letters(3)}@elsewhere.example")
        for index, learner in enumerate(self.world.learners):
            if held.calendar_id in learner.courses:
                plan = self._plan(index, held)
                truth = _TRUTH.get(plan, OutcomeKind.ATTENDED)
                self.world.truth[learner.email, held.event_id] = truth
                for start, end in self._minutes(plan):
                    self._stay(call, starts_at, start, end, learner.joins_as)

    def _plan(self, index: int, held: Class) -> str:
        """Let the dice decide, but for three learners who make the newest class worth a look."""
        if held.newest == 0 and index in {0, 1}:
            return "missed"
        if held.newest == 1 and index in {0, 1}:
            return "missed" if index == 1 else "whole"
        if held.newest == 0 and index == 2:
            return "late"
        return self.random.choices(_PLANS, _WEIGHTS)[0]

    def _minutes(self, plan: str) -> list[tuple[float, float]]:
        near = self.random.uniform
        match plan:
            case "whole":
                return [(near(-3, 5), near(56, 61))]
            case "rejoin":
                return [(near(-2, 3), near(15, 25)), (near(27, 30), near(57, 60))]
            case "devices":
                return [(near(-2, 3), near(56, 60)), (near(2, 8), near(50, 59))]
            case "late":
                return [(near(12, 22), near(57, 60))]
            case "left_early":
                return [(near(-2, 4), near(36, 46))]
            case "partial":
                return [(near(5, 15), near(25, 32))]
            case _:
                return []

    def _stay(
        self,
        call: CallInfo,
        class_starts_at: datetime,
        start: float,
        end: float,
        email: str,
        *,
        external: bool = True,
    ) -> None:
        started_at = class_starts_at + timedelta(seconds=round(start * 60))
        ended_at = class_starts_at + timedelta(milliseconds=round(end * 60_000))
        lag = self.random.uniform(1, 20)
        if self.random.random() < 0.03:
            lag = self.random.uniform(60, 150)
        body = call_ended(
            call=call,
            endpoint_id=f"boq_hlane_{self._letters(11)}",
            started_at=started_at,
            ended_at=ended_at,
            qualifier=self.random.randint(-(2**63), 2**63 - 1),
            identifier=email,
            display_name=email.partition("@")[0],
            is_external=external,
            device_type=self.random.choice(("web", "web", "android", "ios")),
            with_start=self.random.random() > 0.4,
        )
        self.world.records.append(Record(body, ended_at + timedelta(minutes=lag)))

    def _duplicate_some(self) -> None:
        """Google repeats records, now and then under another number."""
        for record in list(self.world.records):
            dice = self.random.random()
            if dice < 0.03:
                self.world.records.append(record)
            elif dice < 0.05:
                number = str(self.random.randint(-(2**63), 2**63 - 1))
                body = {**record.body, "id": {**record.body["id"], "uniqueQualifier": number}}
                self.world.records.append(Record(body, record.visible_at))

    def _letters(self, size: int) -> str:
        return "".join(self.random.choices(string.ascii_lowercase, k=size))


def _to_five_minutes(at: datetime) -> datetime:
    return at.replace(minute=at.minute - at.minute % 5, second=0, microsecond=0)
