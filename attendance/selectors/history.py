"""What was, what comes, and what was promised."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from attendance.domain import streaks
from attendance.domain.kinds import Flag, OutcomeKind, PledgeState, RunState, SessionStatus, Source
from attendance.domain.reasons import Reason
from attendance.domain.streaks import Past
from attendance.models import (
    AttendanceEvent,
    AttendancePolicy,
    ClassSession,
    Course,
    Enrolment,
    Outcome,
    Pledge,
    SyncRun,
)
from attendance.models.sessions import LINKED

PROMISED = (PledgeState.YES, PledgeState.KEPT, PledgeState.BROKEN)
SYNC_EVERY = timedelta(minutes=10)
STREAK_LOOKS_BACK = 50
# What is no class: streaks and firsts step over it. What staff or an import say of it counts.
NO_CLASS = Q(session__status=SessionStatus.CANCELLED) | Q(reason=Reason.NO_MEET_LINK)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A fact of a learner in the class of a course that began at `starts_at`."""

    learner_id: int
    course_id: int
    fact: str
    starts_at: datetime


def streak(*, learner_id: int, course_id: int, fact: str, session: ClassSession) -> int:
    """How many expected classes in a row have `fact`, up to and with `session`."""
    asked = Asked(
        learner_id=learner_id, course_id=course_id, fact=fact, starts_at=session.starts_at
    )
    return streaks_of([asked])[asked]


def streaks_of(asked: Iterable[Asked]) -> dict[Asked, int]:
    """The same for many facts, in two statements whatever their number."""
    wanted = set(asked)
    if not wanted:
        return {}
    rows = list(
        Outcome.objects.filter(
            learner_id__in={row.learner_id for row in wanted},
            session__course_id__in={row.course_id for row in wanted},
            session__starts_at__lte=max(row.starts_at for row in wanted),
            is_current=True,
        )
        .exclude(NO_CLASS)
        .order_by("-session__starts_at", "-session_id")
        .values_list(
            "learner_id", "session__course_id", "session_id", "session__starts_at",
            "outcome", "effective", "flags",
        )
    )  # fmt: skip
    promised = pledged(
        learner_ids={row.learner_id for row in wanted}, session_ids={row[2] for row in rows}
    )
    history: dict[tuple[int, int], list[tuple[datetime, Past]]] = defaultdict(list)
    for learner, course, session, starts_at, outcome, effective, flags in rows:
        past = Past(
            outcome=OutcomeKind(outcome),
            effective=effective,
            brief=Flag.BRIEF in flags,
            pledged=(learner, session) in promised,
        )
        history[learner, course].append((starts_at, past))
    return {row: _streak(row, history[row.learner_id, row.course_id]) for row in wanted}


def _streak(row: Asked, newest_first: Sequence[tuple[datetime, Past]]) -> int:
    held = [past for starts_at, past in newest_first if starts_at <= row.starts_at]
    counted = streaks.streak(newest_first=held[:STREAK_LOOKS_BACK], fact=row.fact)
    # Facts that are no outcome (the first one, a return) are true of one class only.
    return max(1, counted)


def next_session(*, course_id: int | None, after: datetime) -> ClassSession | None:
    """The next confirmed class of a course that begins after a moment."""
    return None if course_id is None else next_sessions({course_id}, after=after).get(course_id)


def next_sessions(course_ids: Iterable[int], *, after: datetime) -> dict[int, ClassSession]:
    """The same of many courses, in one statement; a course without a next class is left out."""
    rows = (
        _ahead(after)
        .filter(course_id__in=set(course_ids))
        .select_related("course")
        .order_by("course_id", "starts_at", "id")
        .distinct("course_id")
    )
    return {row.course_id: row for row in rows}


def sessions_ahead(course_ids: Iterable[int], *, after: datetime) -> dict[int, list[ClassSession]]:
    """All confirmed classes of many courses that begin after a moment, soonest first."""
    found: dict[int, list[ClassSession]] = defaultdict(list)
    rows = _ahead(after).filter(course_id__in=set(course_ids)).select_related("course")
    for row in rows.order_by("starts_at", "id"):
        found[row.course_id].append(row)
    return found


def _ahead(after: datetime) -> QuerySet[ClassSession]:
    """Classes that can be announced: confirmed, and with a link by which to come."""
    return ClassSession.objects.filter(LINKED, status=SessionStatus.SCHEDULED, starts_at__gt=after)


def upcoming(*, learner_id: int, after: datetime, most: int) -> list[ClassSession]:
    """The next confirmed classes of the courses that a learner is in, soonest first."""
    theirs = Enrolment.objects.filter(
        Q(starts_at__isnull=True) | Q(starts_at__lte=OuterRef("starts_at")),
        Q(ends_at__isnull=True) | Q(ends_at__gt=OuterRef("starts_at")),
        learner=learner_id,
        course=OuterRef("course"),
        course__active=True,
    )
    rows = _ahead(after).filter(Exists(theirs)).select_related("course")
    return list(rows.order_by("starts_at", "id")[:most])


def calendar_ids() -> list[str]:
    """The calendars to read: those of the settings and of courses that staff keep active."""
    known = Course.objects.values_list("calendar_id", "active")
    off = {calendar_id for calendar_id, active in known if not active}
    return sorted(({pk for pk, _ in known} | set(settings.GOOGLE_CALENDAR_IDS)) - off)


def find_session(text: str) -> ClassSession | None:
    """The class of a calendar event id, or of a row id; the newest where ids repeat."""
    rows = ClassSession.objects.select_related("course")
    by_event = rows.filter(event_id=text).order_by("-starts_at").first()
    if by_event is not None or not text.isdecimal() or len(text) > 18:
        return by_event
    return rows.filter(pk=int(text)).first()


def newest_class(*, learner_id: int, until: datetime) -> ClassSession | None:
    """The class of the learner's courses that began last; what is called off, or has neither link
    nor call, is none."""
    began = ClassSession.objects.confirmed().filter(
        LINKED | Q(matches__isnull=False),
        course__enrolments__learner=learner_id,
        starts_at__lte=until,
    )
    return began.select_related("course").order_by("-starts_at", "-id").first()


def pledged(*, learner_ids: Iterable[int], session_ids: Iterable[int]) -> set[tuple[int, int]]:
    """Which of these learners said that they will come to which of these classes, as pairs."""
    return set(
        Pledge.objects.filter(
            learner_id__in=set(learner_ids), session_id__in=set(session_ids), state__in=PROMISED
        ).values_list("learner_id", "session_id")
    )


def pledge_states(
    *, learner_ids: Iterable[int], session_ids: Iterable[int]
) -> dict[tuple[int, int], str]:
    """What is known of whether these learners come to these classes, by learner and class."""
    rows = Pledge.objects.filter(learner_id__in=set(learner_ids), session_id__in=set(session_ids))
    return {(row.learner_id, row.session_id): row.state for row in rows}


def asks_from(session: ClassSession) -> datetime | None:
    """From when on (UTC) learners are asked whether they come to a class; None: not at all."""
    rows = AttendancePolicy.objects.filter(
        Q(valid_from=None) | Q(valid_from__lte=session.starts_at), course=session.course_id
    )
    hours = rows.order_by("-version").values_list("ask_before_hours", flat=True).first()
    if not hours or not session.course.active:
        return None
    return session.starts_at - timedelta(hours=hours)


def is_expected(*, learner_id: int, session: ClassSession) -> bool:
    """Whether a learner is enrolled in the course of a class when it begins."""
    rows = Enrolment.objects.filter(
        Q(starts_at=None) | Q(starts_at__lte=session.starts_at),
        Q(ends_at=None) | Q(ends_at__gt=session.starts_at),
        learner=learner_id,
        course=session.course_id,
    )
    return rows.exists()


class RecordedFact(NamedTuple):
    """A fact of attendance, a promise, or news of a class."""

    learner_id: int
    course_id: int
    kind: str
    recorded_at: datetime
    occurred_at: datetime


def facts_since(*, learner_ids: Iterable[int], since: datetime) -> list[RecordedFact]:
    """The facts that were recorded of these learners since a moment, in that order."""
    rows = AttendanceEvent.objects.filter(
        learner_id__in=set(learner_ids), recorded_at__gte=since
    ).order_by("recorded_at", "id")
    return [
        RecordedFact(*row)
        for row in rows.values_list(
            "learner_id", "session__course_id", "kind", "recorded_at", "occurred_at"
        )
    ]


def outcomes(*, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """The newest revision of every learner and class; with `since`, of classes that ended then
    or later."""
    rows = Outcome.objects.filter(is_current=True).select_related("learner", "session")
    if since is not None:
        rows = rows.filter(session__ends_at__gte=since)
    for row in rows.order_by("session__starts_at", "session_id", "learner_id").iterator():
        yield {
            "email": row.learner.email,
            "session": row.session.event_id,
            "outcome": row.outcome,
            "seconds": row.present_seconds,
            "revision": row.revision,
            "effective": row.effective,
            "reason": row.reason,
        }


def sync_is_due(*, now: datetime) -> bool:
    """Whether the last reading of the log began long enough ago. Several clocks may ask."""
    running = SyncRun.objects.filter(source=Source.MEET, started_at__gt=now - SYNC_EVERY)
    return not running.exclude(state=RunState.CONFIG_ERROR).exists()


def has_due_sessions(*, now: datetime) -> bool:
    """Whether the settler would find a class to look at."""
    return ClassSession.objects.due(now).exists()
