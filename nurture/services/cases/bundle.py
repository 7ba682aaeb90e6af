"""Write down a journey and all that its decisions depended on, without personal data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q

from attendance.models import (
    AttendanceEvent,
    AttendancePolicy,
    ClassSession,
    Course,
    Outcome,
    Pledge,
)
from delivery.models import Delivery, InboundUpdate
from nurture import sequence_writer
from nurture.domain import case
from nurture.domain.reasons import Reason
from nurture.models import OPEN, Contact, Decision, Journey
from nurture.services.cases.record import decisions_of, key_of, rows_of
from nurture.services.versions import spec_of

FORMAT = 1
#: What happened to a journey of which too little is kept to let it happen again.
NOT_KEPT = {
    Reason.MOVED: "it changed to another version, and the one before is not kept with it",
    Reason.PLANNED_ANEW: "the learner's zone, language or quiet hours changed meanwhile",
    Reason.RELEASED: "a person let a message of a dry run go out",
    Reason.MISSED_IN_PAUSE: "a message was dropped behind a closed gate or after a pause",
    Reason.ENGINE_ERROR: "the engine failed on it",
}


def export(*, journey: Journey, now: datetime) -> dict[str, Any]:
    """A case: the learner as a number, rules without words, facts, answers, ends, decisions.

    Plain values for JSON, moments in ISO 8601, UTC. `digest` is that of the decisions; `doubts`
    says what a replay cannot know. Reads only.
    """
    decisions = decisions_of(journey.pk)
    facts = list(_facts(journey))
    classes = list(_classes(journey, facts))
    spec = spec_of(journey.version)
    calendar = journey.course.calendar_id if journey.course else ""
    return {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "digest": case.digest(decisions),
        "doubts": [
            why for code, why in NOT_KEPT.items() if any(row["code"] == code for row in decisions)
        ],
        "zone": settings.TIME_ZONE,
        "learner": _learner(journey),
        "contact": _contact(journey, case.tags_asked(spec)),
        "courses": [_course(row, journey) for row in _courses(journey, classes)],
        "classes": [_class(row) for row in classes],
        "policy": _policy(journey),
        "sequence": sequence_writer.write(case.anonymous(spec, calendar=calendar)),
        "journey": _journey(journey),
        "earlier": [_journey(row) for row in _earlier(journey)],
        "outcomes": [_outcome(row) for row in _outcomes(journey, classes)],
        "facts": [_fact(row) for row in facts],
        "pledges": [_pledge(row) for row in _pledges(journey, classes)],
        "said": list(_said(journey)),
        "deliveries": [_delivery(row) for row in _deliveries(journey)],
        "decisions": decisions,
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _learner(journey: Journey) -> dict[str, Any]:
    """A number, by which draws are made, and whether there is a first and a last name."""
    first, _, last = journey.learner.name.strip().partition(" ")
    return {"id": journey.learner_id, "first": bool(first), "last": bool(last.strip())}


def _contact(journey: Journey, asked: set[str]) -> dict[str, Any]:
    contact = Contact.objects.filter(learner=journey.learner_id).first()
    if contact is None:
        return {"time_zone": "", "language": "", "quiet": None, "tags": []}
    opens, closes = contact.quiet_opens, contact.quiet_closes
    return {
        "time_zone": contact.time_zone,
        "language": contact.language,
        "quiet": [f"{opens:%H:%M}", f"{closes:%H:%M}"] if opens and closes else None,
        "tags": sorted(_tags(journey, contact) & asked),
    }


def _tags(journey: Journey, contact: Contact) -> set[str]:
    """What the learner had on when the journey began, as far as sequences put it on."""
    rows = Decision.objects.filter(learner=journey.learner_id, code=Reason.TAGGED).order_by("id")
    said = [(row.inputs, row.decided_at < journey.started_at) for row in rows]
    by_sequences = {name for inputs, _ in said for name in inputs.values()}
    has = {tag.name for tag in contact.tags.all()} - by_sequences
    for inputs, before in said:
        if before:
            has |= {inputs["add"]} if "add" in inputs else set()
            has -= {inputs.get("remove")}
    return has


def _facts(journey: Journey) -> Iterable[AttendanceEvent]:
    """What was acted on since the journey began, its cause with it, in the order of the rows."""
    rows = AttendanceEvent.objects.filter(learner=journey.learner_id, processed_at__isnull=False)
    mine = Q(pk=journey.cause_id) | Q(processed_at__gt=journey.started_at)
    if journey.cause_id is not None:  # and what the pass that began it acted on after it
        mine |= Q(processed_at=journey.started_at, pk__gt=journey.cause_id)
    until = Q() if journey.ended_at is None else Q(recorded_at__lte=journey.ended_at)
    return rows.filter(mine, until).select_related("session").order_by("id")


def _classes(journey: Journey, facts: Iterable[AttendanceEvent]) -> Iterable[ClassSession]:
    """Those of the journey's course, and others of which a fact speaks."""
    named = {fact.session_id for fact in facts}
    rows = ClassSession.objects.filter(Q(course=journey.course_id) | Q(pk__in=named))
    return rows.order_by("starts_at", "id")


def _courses(journey: Journey, classes: Iterable[ClassSession]) -> Iterable[Course]:
    return Course.objects.filter(
        pk__in={row.course_id for row in classes} | {journey.course_id}
    ).order_by("id")


def _course(row: Course, journey: Journey) -> dict[str, Any]:
    own = row.pk == journey.course_id
    name = case.COURSE if own else case.mark(row.calendar_id)
    return {"id": row.pk, "calendar": name, "time_zone": row.time_zone, "titled": bool(row.title)}


def _class(row: ClassSession) -> dict[str, Any]:
    return {
        "id": row.pk,
        "course": row.course_id,
        "starts_at": _moment(row.starts_at),
        "ends_at": _moment(row.ends_at),
        "titled": bool(row.title),
        "code": bool(row.meeting_code),
        "url": bool(row.meet_url),
        "cancelled_at": _moment(row.changed_at) if row.status == "cancelled" else None,
    }


def _policy(journey: Journey) -> dict[str, Any] | None:
    """By which rules the outcome that began it was concluded; nothing in a replay asks for it."""
    outcome = journey.cause.outcome if journey.cause else None
    if outcome is None or outcome.policy is None:
        return None
    return {
        field.name: getattr(outcome.policy, field.name)
        for field in AttendancePolicy._meta.concrete_fields
        if field.name.endswith(("_seconds", "_below", "_excused", "_presence", "version"))
    }


def _journey(row: Journey) -> dict[str, Any]:
    return {
        "entry_key": row.entry_key,
        "round": row.round,
        "dry_run": row.dry_run,
        "cause": row.cause_id,
        "course": row.course_id,
        "started_at": _moment(row.started_at),
        "open": row.status in OPEN,
        "ended_at": _moment(row.ended_at),
    }


def _earlier(journey: Journey) -> Iterable[Journey]:
    """What the entry rules looked back on."""
    rows = Journey.objects.filter(
        learner=journey.learner_id, sequence=journey.sequence_id, is_test=False
    )
    return rows.filter(pk__lt=journey.pk).order_by("started_at", "id")


def _outcomes(journey: Journey, classes: Iterable[ClassSession]) -> Iterable[Outcome]:
    rows = Outcome.objects.filter(learner=journey.learner_id, session__in=list(classes))
    return rows.order_by("id")


def _outcome(row: Outcome) -> dict[str, Any]:
    return {
        "id": row.pk,
        "class": row.session_id,
        "revision": row.revision,
        "outcome": row.outcome,
        "flags": row.flags,
        "present_seconds": row.present_seconds,
        "effective_at": _moment(row.effective_at),
        "decided_at": _moment(row.decided_at),
        "reason": row.reason,
    }


def _fact(row: AttendanceEvent) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "class": row.session_id,
        "outcome": row.outcome_id,
        "streak": row.streak,
        "occurred_at": _moment(row.occurred_at),
        "recorded_at": _moment(row.recorded_at),
        "expires_at": _moment(row.expires_at),
        "processed_at": _moment(row.processed_at),
    }


def _pledges(journey: Journey, classes: Iterable[ClassSession]) -> Iterable[Pledge]:
    rows = Pledge.objects.filter(learner=journey.learner_id, session__in=list(classes))
    return rows.filter(answered_at__isnull=False).order_by("answered_at", "id")


def _pledge(row: Pledge) -> dict[str, Any]:
    return {
        "class": row.session_id, "state": row.state, "answered_at": _moment(row.answered_at),
    }  # fmt: skip


def _said(journey: Journey) -> Iterator[dict[str, Any]]:
    """When the learner wrote or pressed something; not what."""
    contact = Contact.objects.filter(learner=journey.learner_id).select_related("chat").first()
    if contact is None or contact.chat is None:
        return
    rows = InboundUpdate.objects.filter(
        chat_key=contact.chat.telegram_key, received_at__gte=journey.started_at
    )
    for received, handled in rows.order_by("id").values_list("received_at", "handled_at"):
        yield {"received_at": _moment(received), "handled_at": _moment(handled)}


def _deliveries(journey: Journey) -> Iterable[Delivery]:
    found = {row.delivery.pk: row.delivery for row in rows_of(journey.pk) if row.delivery}
    return found.values()


def _delivery(row: Delivery) -> dict[str, Any]:
    """What became of a message; of its text no more than its mark."""
    return {
        "key": key_of(row),
        "status": row.status,
        "reason": row.reason,
        "text": case.mark(row.text),
        "intent_at": _moment(row.intent_at),
        "sent_at": _moment(row.sent_at),
        "settled_at": _moment(row.settled_at),
        "observed_at": _moment(row.observed_at),
    }
