"""Everything that attendance has stored about one learner, for the learner to see."""

from __future__ import annotations

from typing import Any

from attendance.models import (
    AttendanceEvent,
    Endpoint,
    Learner,
    Outcome,
    Pledge,
    ReviewItem,
)


def stored_about(*, learner: Learner) -> dict[str, Any]:
    """The rows of a learner as plain values, newest first; moments are datetimes in UTC."""
    return {
        "name": learner.name,
        "email": learner.email,
        "since": learner.created_at,
        **_recognised(learner),
        **_present(learner),
        **_concluded(learner),
    }


def _recognised(learner: Learner) -> dict[str, Any]:
    identities = learner.identities.order_by("pk").select_related("course")
    enrolments = learner.enrolments.order_by("pk").select_related("course")
    return {
        "identities": [
            {
                "kind": row.kind,
                "value": row.value_key,
                "status": row.status,
                "course": str(row.course) if row.course else "",
                "origin": row.origin,
                "since": row.created_at,
            }
            for row in identities
        ],
        "courses": [
            {"course": str(row.course), "from": row.starts_at, "until": row.ends_at}
            for row in enrolments
        ],
    }


def _present(learner: Learner) -> dict[str, Any]:
    pledges = Pledge.objects.filter(learner=learner).select_related("session__course")
    records = Endpoint.objects.filter(learner=learner).order_by("-started_at", "-pk")
    return {
        "pledges": [
            _class_of(row)
            | {"state": row.state, "asked": row.asked_at, "answered": row.answered_at}
            for row in pledges.order_by("-session__starts_at")
        ],
        "records": [
            {
                "joined": row.started_at,
                "left": row.ended_at,
                "shown": row.display_name,
                "identifier": row.identifier,
                "device": row.device_type,
            }
            for row in records
        ],
    }


def _concluded(learner: Learner) -> dict[str, Any]:
    outcomes = Outcome.objects.filter(learner=learner).select_related("session__course")
    facts = AttendanceEvent.objects.filter(learner=learner).select_related("session__course")
    reviews = ReviewItem.objects.filter(learner=learner).order_by("-pk")
    return {
        "outcomes": [
            _class_of(row) | _outcome(row)
            for row in outcomes.order_by("-session__starts_at", "-revision")
        ],
        "facts": [
            _class_of(row) | {"fact": row.kind, "at": row.occurred_at}
            for row in facts.order_by("-occurred_at", "-pk")
        ],
        "reviews": [
            {
                "kind": row.kind,
                "state": row.state,
                "evidence": row.evidence,
                "decision": row.decision,
                "asked": row.created_at,
            }
            for row in reviews
        ],
    }


def _outcome(row: Outcome) -> dict[str, Any]:
    return {
        "outcome": row.outcome,
        "seconds": row.present_seconds,
        "first_join": row.first_join_at,
        "last_leave": row.last_leave_at,
        "revision": row.revision,
        "current": row.is_current,
        "effective": row.effective,
        "reason": row.reason,
        "inputs": row.inputs,
        "note": row.note,
        "decided": row.decided_at,
    }


def _class_of(row: Outcome | Pledge | AttendanceEvent) -> dict[str, Any]:
    return {
        "class": row.session.title or str(row.session.course),
        "starts": row.session.starts_at,
    }
