"""A recorded term for the engine's bench: courses, learners with chats, outcomes and facts."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection

from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Course,
    Enrolment,
    Learner,
    Outcome,
)
from delivery.models import Chat, Consent
from nurture.models import Contact

BEGINS = datetime(2026, 1, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
SETTLES, FIRES_FOR = 3 * HOUR, 72 * HOUR
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "")
OF_A_COURSE = 25


@dataclass(frozen=True, kw_only=True)
class Term:
    """Two classes a week in each course of 25; one learner in six misses a class."""

    learners: int
    days: int
    seed: int = 7

    @property
    def ends(self) -> datetime:
        """The end of the last day."""
        return BEGINS + timedelta(days=self.days)


def record(term: Term) -> int:
    """Write the term into the tables; return how many facts there are."""
    chance = random.Random(term.seed)
    learners = _people(term)
    courses = Course.objects.bulk_create(
        Course(calendar_id=f"c{number}@bench.example", title=f"Course {number}", time_zone="UTC")
        for number in range(-(-term.learners // OF_A_COURSE))
    )
    facts = 0
    for number, course in enumerate(courses):
        group = learners[number * OF_A_COURSE : (number + 1) * OF_A_COURSE]
        Enrolment.objects.bulk_create(Enrolment(course=course, learner=one) for one in group)
        facts += _classes(course, number, group, term, chance)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return facts


def _people(term: Term) -> list[Learner]:
    learners = Learner.objects.bulk_create(
        Learner(
            email=f"l{number}@bench.example", email_key=f"l{number}@bench.example",
            name=f"Learner{number} Bench", created_at=BEGINS,
        )
        for number in range(term.learners)
    )  # fmt: skip
    chats = Chat.objects.bulk_create(
        Chat(telegram_id=10_000 + number, kind="private", reachability="ok")
        for number in range(term.learners)
    )
    Consent.objects.bulk_create(
        Consent(chat=chat, category="", granted=True, source="bench", changed_at=BEGINS)
        for chat in chats
    )
    Contact.objects.bulk_create(
        Contact(learner=learner, chat=chat, time_zone=ZONES[number % len(ZONES)])
        for number, (learner, chat) in enumerate(zip(learners, chats, strict=True))
    )
    return learners


def _classes(
    course: Course, number: int, group: list[Learner], term: Term, chance: random.Random
) -> int:
    first = BEGINS + timedelta(days=number % 5, hours=8 + number % 12, minutes=5 * (number % 12))
    starts = [
        first + timedelta(days=week * 7 + twice)
        for week in range(-(-term.days // 7))
        for twice in (0, 2)
    ]
    sessions = ClassSession.objects.bulk_create(
        ClassSession(
            course=course, event_id=f"c{number}e{place}", title="Lesson", starts_at=at,
            ends_at=at + HOUR, changed_at=BEGINS, status="scheduled",
            meeting_code=f"m{number}x{place}",
        )
        for place, at in enumerate(starts)
        if at + HOUR + SETTLES < term.ends + timedelta(days=14)
    )  # fmt: skip
    facts = 0
    for session in sessions:
        if session.ends_at + SETTLES < term.ends:
            facts += _facts(session, group, chance)
    return facts


def _facts(session: ClassSession, group: list[Learner], chance: random.Random) -> int:
    at = session.ends_at + SETTLES
    kinds = chance.choices(
        ("attended", "missed", "late", "left_early"), (14, 4, 3, 3), k=len(group)
    )
    outcomes = Outcome.objects.bulk_create(
        Outcome(
            learner=learner, session=session, revision=1, outcome=kind, effective=True,
            effective_at=at, decided_at=at, present_seconds=0 if kind == "missed" else 3000,
            reason="not_seen" if kind == "missed" else "seen",
        )
        for learner, kind in zip(group, kinds, strict=True)
    )  # fmt: skip
    AttendanceEvent.objects.bulk_create(
        AttendanceEvent(
            kind=row.outcome, learner=row.learner, session=session, outcome=row,
            key=f"{row.outcome}:{row.learner_id}:{session.pk}", occurred_at=session.ends_at,
            recorded_at=at, expires_at=session.ends_at + FIRES_FOR, processed_at=at,
        )
        for row in outcomes
    )  # fmt: skip
    return len(outcomes)
