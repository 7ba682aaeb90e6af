"""What was, what comes, and what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from attendance.domain import streaks
from attendance.domain.kinds import Flag, OutcomeKind, PledgeState, RunState, SessionStatus, Source
from attendance.domain.streaks import Past
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Course,
    Outcome,
    Pledge,
    SyncRun,
)

PROMISED = (PledgeState.YES, PledgeState.KEPT, PledgeState.BROKEN)
SYNC_EVERY = timedelta(minutes=10)
STREAK_LOOKS_BACK = 50
_AHEAD = (SessionStatus.SCHEDULED,)


def last_outcomes(
    *, learner_id: int, course_id: int, before_or_at: datetime, limit: int
) -> list[Outcome]:
    """The learner's newest outcomes in a course, in planned order, newest first.

    Of classes that began at `before_or_at` or before; current revisions, undecided ones too,
    without cancelled classes.
    """
    return list(
        Outcome.objects.filter(
            learner_id=learner_id,
            is_current=True,
            session__course_id=course_id,
            session__starts_at__lte=before_or_at,
        )
        .exclude(session__status=SessionStatus.CANCELLED)
        .select_related("session")
        .order_by("-session__starts_at", "-session_id")[:limit]
    )


def streak(*, learner_id: int, course_id: int, fact: str, session: ClassSession) -> int:
    """How many expected classes in a row have `fact`, up to and with `session`."""
    rows = last_outcomes(
        learner_id=learner_id,
        course_id=course_id,
        before_or_at=session.starts_at,
        limit=STREAK_LOOKS_BACK,
    )
    promised = set(
        Pledge.objects.filter(
            learner_id=learner_id, session__in=[row.session_id for row in rows], state__in=PROMISED
        ).values_list("session_id", flat=True)
    )
    counted = streaks.streak(
        newest_first=[
            Past(
                outcome=OutcomeKind(row.outcome),
                effective=row.effective,
                brief=Flag.BRIEF in row.flags,
                pledged=row.session_id in promised,
            )
            for row in rows
        ],
        fact=fact,
    )
    # Facts that are no outcome (the first one, a return) are true of one class only.
    return max(1, counted)


def next_session(*, course_id: int | None, after: datetime) -> ClassSession | None:
    """The next confirmed class of a course that begins after a moment."""
    if course_id is None:
        return None
    return (
        ClassSession.objects.filter(course_id=course_id, status__in=_AHEAD, starts_at__gt=after)
        .select_related("course")
        .order_by("starts_at", "id")
        .first()
    )


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


def has_pledged(*, learner_id: int, session_id: int) -> bool:
    """Whether a learner said that they will come to a class."""
    return Pledge.objects.filter(
        learner_id=learner_id, session_id=session_id, state__in=PROMISED
    ).exists()


def facts_since(*, learner_id: int, course_id: int, since: datetime) -> set[str]:
    """The kinds of facts that were recorded of a learner in a course after a moment."""
    return set(
        AttendanceEvent.objects.filter(
            learner_id=learner_id, session__course_id=course_id, recorded_at__gt=since
        ).values_list("kind", flat=True)
    )


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


def has_unprocessed_events() -> bool:
    """Whether a fact waits to be acted on."""
    return AttendanceEvent.objects.filter(processed_at__isnull=True).exists()
