"""One class, minute by minute: who was in it on which device, and how far the log was read."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from attendance import services
from attendance.domain.identity import email_key, endpoint_mark
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Conference,
    ConferenceMatch,
    Course,
    Endpoint,
    Learner,
    Outcome,
    ReviewItem,
    SyncRun,
)
from attendance.services.matching import link_known

STARTS = datetime(2026, 6, 2, 18, tzinfo=UTC)
ENDS = STARTS + timedelta(minutes=60)
SETTLED = ENDS + timedelta(minutes=181)
HOST = "host@school.example"
_numbers = itertools.count(1)


def make_course(*names: str) -> tuple[Course, list[Learner]]:
    """A course with a learner for each name; `Rosa Maro` has rosa.maro@school.example."""
    course = services.upsert_course(
        calendar_id=f"c{next(_numbers)}@group.example", title="Spanish A2", now=STARTS
    )
    learners = [
        services.upsert_learner(
            email=f"{name.lower().replace(' ', '.')}@school.example",
            name=name,
            calendar_ids=[course.calendar_id],
            now=STARTS - timedelta(days=30),
        )
        for name in names
    ]
    return course, learners


def make_class(course: Course, *, weeks: int = 0, **overrides: Any) -> ClassSession:
    """A class of an hour, `weeks` after the first, with a call in which the host was."""
    starts_at = STARTS + timedelta(weeks=weeks)
    values: dict[str, Any] = {
        "event_id": f"event{next(_numbers)}",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(minutes=60),
        "title": course.title,
        "meeting_code": "abcdefghij",
        "organizer_email": HOST,
        "next_check_at": starts_at + timedelta(minutes=60),
        "changed_at": starts_at,
    } | overrides
    session = ClassSession.objects.create(course=course, **values)
    call = Conference.objects.create(
        conference_id=f"call{next(_numbers)}",
        meeting_code=session.meeting_code,
        organizer_email=HOST,
    )
    ConferenceMatch.objects.create(
        conference=call, session=session, rule="event_id", confidence=1.0
    )
    stay(session, email=HOST, kind="staff")
    return session


def stay(
    session: ClassSession,
    *,
    email: str = "",
    name: str = "",
    start: float = 0,
    end: float = 60,
    **overrides: Any,
) -> Endpoint:
    """Somebody was in the class from minute `start` to minute `end`, as the log tells it."""
    kind = "email_address" if email else ""
    values: dict[str, Any] = {
        "endpoint_id": f"device{next(_numbers)}",
        "started_at": session.starts_at + timedelta(minutes=start),
        "ended_at": session.starts_at + timedelta(minutes=end),
        "start_source": "given",
        "identifier": email,
        "identifier_key": email_key(email),
        "identifier_type": kind,
        "display_name": name,
        "device_type": "web",
        "is_external": True,
        "mark": endpoint_mark(identifier=email, identifier_type=kind, display_name=name),
        "kind": "human",
    } | overrides
    return Endpoint.objects.create(conference=session.matches.get().conference, **values)


def read_log(*, at: datetime) -> None:
    """Google's log was read completely, for four days back, at this moment."""
    SyncRun.objects.create(
        source="meet", kind="nightly", state="complete", window_start_at=at - timedelta(days=4),
        window_end_at=at, started_at=at, finished_at=at,
    )  # fmt: skip


def judge(session: ClassSession, *, after: timedelta = timedelta(minutes=181)) -> datetime:
    """Read the log and judge the class that long after its end; return that moment."""
    now = session.ends_at + after
    read_log(at=now)
    link_known(now=now)
    services.settle_session(session_id=session.pk, now=now)
    return now


def outcome_of(learner: Learner, session: ClassSession) -> Outcome:
    """What stands."""
    return Outcome.objects.get(learner=learner, session=session, is_current=True)


def open_items(kind: str) -> list[ReviewItem]:
    """Questions of a kind that wait."""
    return list(ReviewItem.objects.filter(kind=kind, state="open").order_by("pk"))


def facts(learner: Learner) -> list[str]:
    """The facts of a learner, in the order in which they went out."""
    return list(
        AttendanceEvent.objects.filter(learner=learner)
        .order_by("pk")
        .values_list("kind", flat=True)
    )
