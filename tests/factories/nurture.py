"""Rows of nurture and of what it reads, for tests: typed functions, one line of story each."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from attendance.models import AttendanceEvent, ClassSession, Course, Enrolment, Learner, Outcome
from delivery.models import Delivery
from nurture.models import Contact, Sequence
from nurture.services import sequences
from tests.factories.delivery import make_chat

#: A Tuesday; the class of the story ends at 18:00 UTC.
CLASS_STARTS = datetime(2026, 3, 3, 17, tzinfo=UTC)
CLASS_ENDS = CLASS_STARTS + timedelta(hours=1)
NOW = CLASS_ENDS + timedelta(hours=3)  # 21:00 UTC
FACTS_FIRE_FOR = timedelta(hours=72)

PLAIN = """\
sequence: missed-class
name: We missed you
entry: {key: session, again: every key, open: 1}
triggers:
  - {fact: missed}
steps:
  - key: hello
    text: "Hi {{ first_name | default: 'there' }}, we missed you in {{ session_title }}."
"""
WINDOW = 'window: {opens: "09:00", closes: "20:00"}\n'

_numbers = itertools.count(1)


def make_course(**overrides: Any) -> Course:
    """A course in UTC."""
    number = next(_numbers)
    values = {"calendar_id": f"c{number}@group.calendar.google.com", "title": "Spanish A1"}
    return Course.objects.create(**(values | overrides))


def make_contact(*, linked: bool = True, name: str = "Rosa Diaz", **overrides: Any) -> Contact:
    """A learner with a contact, linked to a chat that consents."""
    number = next(_numbers)
    learner = Learner.objects.create(
        email=f"l{number}@example.org",
        email_key=f"l{number}@example.org",
        name=name,
        created_at=CLASS_STARTS - timedelta(days=30),
    )
    chat = make_chat() if linked else None
    return Contact.objects.create(**({"learner": learner, "chat": chat} | overrides))


def make_session(*, course: Course | None = None, **overrides: Any) -> ClassSession:
    """A class of an hour, held and settled."""
    number = next(_numbers)
    starts_at = overrides.get("starts_at", CLASS_STARTS)
    values = {
        "course": course or make_course(),
        "event_id": f"event{number}",
        "starts_at": starts_at,
        "ends_at": starts_at + timedelta(hours=1),
        "title": "Lesson 4",
        "meeting_code": f"lesson{number}",
        "changed_at": starts_at,
    }
    return ClassSession.objects.create(**(values | overrides))


def make_fact(
    kind: str = "missed",
    *,
    contact: Contact | None = None,
    session: ClassSession | None = None,
    **overrides: Any,
) -> AttendanceEvent:
    """A fact, with the effective outcome it speaks of and the learner's enrolment."""
    learner = (contact or make_contact()).learner
    held = session or make_session()
    Enrolment.objects.get_or_create(learner=learner, course=held.course, ends_at=None)
    outcome = _outcome(kind, learner, held)
    values = {
        "kind": kind,
        "learner": learner,
        "session": held,
        "outcome": outcome,
        "key": f"{kind}:{learner.pk}:{held.pk}:{next(_numbers)}",
        "occurred_at": held.ends_at,
        "recorded_at": held.ends_at + timedelta(hours=3),
        "expires_at": held.ends_at + FACTS_FIRE_FOR,
    }
    return AttendanceEvent.objects.create(**(values | overrides))


def _outcome(kind: str, learner: Learner, held: ClassSession) -> Outcome | None:
    said = {"missed_pledged": "missed", "first_attended": "attended", "returned": "attended"}
    outcome = said.get(kind, kind)
    if outcome not in {"attended", "late", "left_early", "partial", "missed"}:
        return None
    present = 0 if outcome == "missed" else 3600
    at = held.ends_at + timedelta(hours=3)
    found, _ = Outcome.objects.get_or_create(
        learner=learner,
        session=held,
        is_current=True,
        defaults={
            "revision": 1,
            "outcome": outcome,
            "present_seconds": present,
            "effective": True,
            "effective_at": at,
            "reason": "seen" if present else "not_seen",
            "decided_at": at,
        },
    )
    return found


def make_sequence(source: str = PLAIN, *, now: datetime = CLASS_STARTS) -> Sequence:
    """A sequence, imported and published."""
    sequence = sequences.import_sequence(source=source, now=now).sequence
    sequences.publish(sequence=sequence, now=now)
    sequence.refresh_from_db()
    return sequence


def settle(delivery: Delivery, *, at: datetime, status: str = "sent", reason: str = "") -> None:
    """A delivery comes to its end, by the changes that the database allows."""
    rows = Delivery.objects.filter(pk=delivery.pk)
    lease = {"lease_until": at + timedelta(minutes=1)}
    if status in {"sent", "unknown", "failed"}:
        rows.update(status="leased", fence=1, **lease)
        rows.update(status="sending", intent_at=at)
    sent = {"sent_at": at, "message_id": 1} if status == "sent" else {}
    rows.update(status=status, reason=reason, settled_at=at, lease_until=None, **sent)
