"""From calendar events to classes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from attendance.domain.calendar import CalendarEvent, parse_events
from attendance.domain.identity import email_key
from attendance.domain.kinds import EventKind, SessionStatus
from attendance.domain.settlement import FACTS_FIRE_FOR
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Conference,
    Course,
    Enrolment,
    Outcome,
)
from attendance.services.erased import erased_among
from attendance.services.settling import settle_session, take_absences_back
from config import telemetry

_COPIED = [
    "recurring_event_id",
    "original_start_at",
    "starts_at",
    "ends_at",
    "title",
    "meeting_code",
    "meet_url",
    "organizer_email",
    "declined",
]
#: What learners are told of a class to come.
_TOLD = ("starts_at", "ends_at", "title", "meet_url", "has_link")
_WRITTEN = [*_COPIED, "status", "next_check_at", "settled_at", "changed_at"]


@dataclass(frozen=True)
class TimetableChange:
    """What a reading of a calendar changed."""

    new: int
    unchanged: int
    changed: int


@transaction.atomic
def store_events(
    *, course: Course, events: Iterable[CalendarEvent], now: datetime
) -> TimetableChange:
    """Bring the course's classes in line with these events; return what changed.

    A class that moved is planned anew; a cancelled one leaves the settler's list. Calls that
    may belong to a new or changed class are matched again. Safe to repeat.
    """
    given = {event.event_id: event for event in _nameless(list(events))}
    known = {
        session.event_id: session
        for session in ClassSession.objects.select_for_update(no_key=True)
        .filter(course=course, event_id__in=given)
        .order_by("pk")
    }
    new, changed = [], []
    facts: list[tuple[EventKind, ClassSession]] = []
    for event in given.values():
        session = known.get(event.event_id)
        if session is None:
            new += _planned(course, event, now)
            continue
        ended_at = session.ends_at
        fact = _apply(session, event, now)
        if fact is not None:
            changed.append(session)
        is_news = max(ended_at, session.ends_at) > now
        if is_news and fact in {EventKind.SESSION_MOVED, EventKind.SESSION_CANCELLED}:
            facts.append((EventKind(fact), session))
    ClassSession.objects.bulk_create(new, ignore_conflicts=True)
    ClassSession.objects.bulk_update(changed, _WRITTEN)
    _withdraw(changed, now)
    _look_again_at_calls([*new, *changed], now)
    _publish(course, facts, now)
    return TimetableChange(len(new), len(given) - len(new) - len(changed), len(changed))


def call_off_unlisted(
    *, course: Course, listed: Collection[str], since: datetime, until: datetime, now: datetime
) -> int:
    """Call off classes to come that a whole reading did not list; return how many.

    It read (since, until). Google lists what is cancelled: what it does not list was moved beyond
    what is read, and comes back with its new time when that is near. A reading that lists nothing
    at all proves nothing, and what was noted since it began is not of it. Safe to repeat.
    """
    if not listed:
        return 0
    gone = ClassSession.objects.filter(
        course=course, status=SessionStatus.SCHEDULED, changed_at__lt=now,
        starts_at__gt=max(since, now), starts_at__lt=until,
    ).exclude(event_id__in=listed)  # fmt: skip
    events = parse_events(
        {"id": pk, "status": "cancelled"} for pk in gone.values_list("event_id", flat=True)
    )
    return store_events(course=course, events=events, now=now).changed


def _nameless(events: list[CalendarEvent]) -> list[CalendarEvent]:
    """The same events without the addresses of who was erased."""
    addresses = {address for event in events for address in event.declined}
    addresses |= {email_key(event.organizer_email) for event in events}
    marks = erased_among(marks=[f"email:{address}" for address in addresses])
    gone = {mark.removeprefix("email:") for mark in marks}
    if not gone:
        return events
    return [
        replace(
            event,
            declined=type(event.declined)(row for row in event.declined if row not in gone),
            organizer_email=""
            if email_key(event.organizer_email) in gone
            else event.organizer_email,
        )
        for event in events
    ]


def _planned(course: Course, event: CalendarEvent, now: datetime) -> list[ClassSession]:
    """Make the class, if the event has a period; of a cancelled one it may be unknown."""
    if event.starts_at is None or event.ends_at is None:
        return []
    status = SessionStatus.CANCELLED if event.cancelled else SessionStatus.SCHEDULED
    session = ClassSession(
        course=course,
        event_id=event.event_id,
        status=status.value,
        next_check_at=None if event.cancelled else event.ends_at,
        changed_at=now,
    )
    _copy(session, event)
    return [session]


def _copy(session: ClassSession, event: CalendarEvent) -> bool:
    """Copy what the event says; return whether anything was different."""
    different = False
    for name in _COPIED:
        value = getattr(event, name)
        value = list(value) if name == "declined" else value
        value = value[:300] if name in {"title", "meet_url"} else value
        if getattr(session, name) != value:
            setattr(session, name, value)
            different = True
    return different


def _apply(session: ClassSession, event: CalendarEvent, now: datetime) -> str | None:
    """Change a known class; return None, "changed", or the fact that others should hear of."""
    was_cancelled, had_link = session.status == SessionStatus.CANCELLED, session.has_link
    if event.cancelled:
        if was_cancelled:
            return None
        session.status = SessionStatus.CANCELLED
        session.next_check_at, session.changed_at = None, now
        return EventKind.SESSION_CANCELLED if had_link else "changed"
    told = {name: getattr(session, name) for name in _TOLD}
    if not _copy(session, event) and not was_cancelled:
        return None
    session.changed_at = now
    moved = (told["starts_at"], told["ends_at"]) != (session.starts_at, session.ends_at)
    if moved or was_cancelled:
        session.status, session.settled_at = SessionStatus.SCHEDULED, None
        session.next_check_at = session.ends_at
    elif session.ends_at <= now:
        session.next_check_at = now  # who declined may be news for what was concluded
    # Without a link it is announced to nobody: one that comes or goes moves the next class, too.
    announced = had_link or session.has_link
    different = was_cancelled or any(getattr(session, name) != told[name] for name in _TOLD)
    return EventKind.SESSION_MOVED if announced and different else "changed"


def _withdraw(sessions: list[ClassSession], now: datetime) -> None:
    """A class that is called off, or moved ahead, once it was judged: nobody was absent from it."""
    gone = [row.pk for row in sessions if row.status == SessionStatus.CANCELLED]
    judged = Outcome.objects.filter(session__in=gone, effective=True, is_current=True)
    for pk in sorted(set(judged.values_list("session_id", flat=True))):
        settle_session(session_id=pk, now=now, late_counts=True)
    for session in sessions:
        if session.status != SessionStatus.CANCELLED and session.ends_at > now:
            take_absences_back(session_id=session.pk, now=now)


def _look_again_at_calls(sessions: list[ClassSession], now: datetime) -> None:
    codes = {session.meeting_code for session in sessions} - {""}
    ids = {session.event_id for session in sessions}
    if ids:
        Conference.objects.filter(
            Q(meeting_code__in=codes)
            | Q(pk__in=Conference.objects.filter(endpoints__calendar_event_id__in=ids).values("pk"))
        ).update(dirty_at=now)


def _publish(course: Course, facts: list[tuple[EventKind, ClassSession]], now: datetime) -> None:
    """Tell that a class to come has changed or is cancelled.

    Those who left the course, too: they may still be owed a message that speaks of it.
    """
    if not facts:
        return
    enrolled = Enrolment.objects.filter(course=course)
    learners = sorted(set(enrolled.values_list("learner_id", flat=True)))
    AttendanceEvent.objects.bulk_create(
        [
            AttendanceEvent(
                kind=kind.value,
                learner_id=learner,
                session=session,
                # By when it changed: a class may be moved back to where it was once.
                key=f"{kind}:{learner}:{session.pk}:{now:%Y%m%dT%H%M%S.%fZ}",
                occurred_at=now,
                recorded_at=now,
                expires_at=session.ends_at + FACTS_FIRE_FOR,
                trace=telemetry.traceparent(),
            )
            for learner in learners
            for kind, session in facts
        ],
        ignore_conflicts=True,
    )
