"""A term of our own making, played forward: what happened, what Google shows when, the truth.

The same seed gives the same term. Its figures prove our logic, not the world outside.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from attendance.sandbox.fake import FakeGoogle, Response, _error
from attendance.sandbox.shapes import CallInfo, Record, calendar_event, call_ended

BEGINS = datetime(2026, 6, 1, 8, tzinfo=UTC)
COURSES, LEARNERS, CLASSES = 5, 10, 20  # a thousand pairs of learner and class
PAIRS_OF_COURSE = LEARNERS * CLASSES
LENGTH = timedelta(minutes=60)
IN_TIME = timedelta(minutes=175)  # before the settling time of absences is over
FIRST = ["Ada", "Bo", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hal", "Ida", "Jon"]
LAST = ["Abel", "Brandt", "Costa", "Duarte", "Egger", "Ferro", "Gomez", "Holm", "Iten", "Jansen"]
PLANS = {
    "whole": 55, "rejoin": 6, "devices": 10, "late": 7, "left_early": 6, "partial": 3,
    "brief": 1, "missed": 12,
}  # fmt: skip
TRUTH = {
    "late": "late", "left_early": "left_early", "partial": "partial", "brief": "missed",
    "missed": "missed",
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A learner of one course."""

    name: str
    email: str
    calendar_id: str


@dataclass
class Pair:
    """One learner in one class: the truth, and how it came to the log."""

    person: Person
    event_id: str
    ends_at: datetime
    plan: str
    guest: bool = False
    shown_as: str = ""
    shown_at: list[datetime] = field(default_factory=list)

    @property
    def truth(self) -> str:
        """The outcome that is right."""
        return TRUTH.get(self.plan, "attended")

    @property
    def came_late(self) -> bool:
        """Whether a record of theirs was shown only after absences had settled."""
        return any(at > self.ends_at + IN_TIME for at in self.shown_at)


class EverySeventhFails(FakeGoogle):
    """A Google that answers 503 to each seventh request but those for tokens, once told to."""

    calls = 0
    fail_every = 0

    def handle(self, method: str, path_with_query: str, headers: object, body: bytes) -> Response:
        """Answer, or not."""
        if "/token" not in path_with_query:
            self.calls += 1
            if self.fail_every and self.calls % self.fail_every == 0:
                return _error(503, "backendError")
        return super().handle(method, path_with_query, headers, body)  # type: ignore[arg-type]


@dataclass
class Term:
    """Everything that happens, and what is true."""

    people: list[Person] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    calendars: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    ends_at: datetime = BEGINS


def make_term(*, seed: int, courses: int = COURSES) -> Term:
    """So many courses with ten learners each and four classes a day for five days."""
    return _Maker(seed, courses).make()


class _Maker:
    def __init__(self, seed: int, courses: int) -> None:
        self.courses = courses
        self.dice = random.Random(f"term {seed}")
        self.term = Term()
        self.number = 0

    def make(self) -> Term:
        for course in range(self.courses):
            calendar_id = f"course{course}@group.example"
            people = [
                Person(f"{first} {last}", f"{first}{course}@mail.example".lower(), calendar_id)
                for first, last in zip(FIRST, LAST[course:] + LAST[:course], strict=True)
            ]
            self.term.people += people
            self.term.calendars[calendar_id] = []
            for number in range(CLASSES):
                day, slot = divmod(number, 4)
                starts_at = BEGINS + timedelta(days=day, hours=2 * slot + course * 0.25)
                self._class(course, calendar_id, number, starts_at, people)
        self.dice.shuffle(self.term.records)
        return self.term

    def _class(
        self, course: int, calendar_id: str, number: int, starts_at: datetime, people: list[Person]
    ) -> None:
        event_id, code = f"c{course}n{number:02}", f"abc-defg-h{course}j"
        self.term.calendars[calendar_id].append(
            calendar_event(
                event_id=event_id, starts_at=starts_at, ends_at=starts_at + LENGTH,
                title=f"Course {course}", meeting_code=code, organizer_email="host@school.example",
            )
        )  # fmt: skip
        self.term.ends_at = max(self.term.ends_at, starts_at + LENGTH)
        named = event_id if self.dice.random() > 0.2 else ""
        call = CallInfo(f"call{course}{number}", code, named, "host@school.example")
        late = self.dice.choice((-5, 0, 0, 0, 6)) if self.dice.random() < 0.5 else 0
        over = self.dice.choice((0, 0, 10, -4))
        self._stay(call, starts_at, late, 60 + over, "host@school.example", "Host", None)
        for person in people:
            plan = self.dice.choices(list(PLANS), list(PLANS.values()))[0]
            pair = Pair(person, event_id, starts_at + LENGTH, plan)
            pair.guest = self.dice.random() < 0.05
            pair.shown_as = person.name if self.dice.random() < 0.8 else "iPad"
            self.term.pairs.append(pair)
            for start, end in self._minutes(plan, late):
                email = "" if pair.guest else person.email
                name = pair.shown_as if pair.guest else person.name
                self._stay(call, starts_at, start, end, email, name, pair)

    def _minutes(self, plan: str, late: int) -> Iterator[tuple[float, float]]:
        """When they were there; nobody comes before the host lets them in."""
        near, opens = self.dice.uniform, max(late, -3)
        match plan:
            case "whole":
                yield max(opens, near(-3, 5)), near(56, 61)
            case "rejoin":
                yield max(opens, near(-2, 3)), near(15, 25)
                yield near(27, 30), near(56, 60)
            case "devices":
                yield max(opens, near(-2, 3)), near(56, 60)
                yield near(8, 12), near(50, 59)
            case "late":
                yield near(18, 24), near(57, 60)
            case "left_early":
                yield max(opens, near(-2, 4)), near(38, 44)
            case "partial":
                yield near(6, 12), near(24, 30)
            case "brief":
                yield (start := near(10, 20)), start + near(0.3, 1.5)

    def _stay(
        self, call: CallInfo, at: datetime, start: float, end: float, email: str, name: str,
        pair: Pair | None,
    ) -> None:  # fmt: skip
        ended_at = at + timedelta(milliseconds=round(end * 60_000))
        lag = self.dice.lognormvariate(2.0, 0.7)  # about 7 minutes
        if self.dice.random() < 0.03:
            lag = self.dice.uniform(30, 360)
        shown_at = ended_at + timedelta(minutes=min(max(lag, 1), 360))
        self.number += 1
        body = call_ended(
            call=call, endpoint_id=f"boq_{self.number}", started_at=at + timedelta(minutes=start),
            ended_at=ended_at, qualifier=self.dice.randint(-(2**63), 2**63 - 1), identifier=email,
            display_name=name, is_external=email != "host@school.example",
            with_start=self.dice.random() > 0.4,
        )  # fmt: skip
        copies = 2 if self.dice.random() < 0.02 else 1
        self.term.records += [Record(body, shown_at)] * copies
        if pair is not None:
            pair.shown_at.append(shown_at)
