"""Why an outcome is what it is: records, intervals, policy, rules, what would change it.

The rules are those that the settler uses; nothing is decided here and nothing is written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from attendance.domain.intervals import clip, union
from attendance.domain.kinds import Origin
from attendance.domain.reasons import EXPLAIN, WOULD_CHANGE, Reason
from attendance.models import ClassSession, Endpoint, Learner, Outcome
from attendance.selectors.evidence import Evidence, evidence

_NO_CLASS = frozenset({Reason.SESSION_CANCELLED, Reason.NO_MEET_LINK})


@dataclass(frozen=True, kw_only=True)
class OutcomeExplanation:
    """Everything behind one outcome. Moments are UTC in ISO form."""

    outcome: str
    effective: bool
    revision: int
    reason: str
    because: str
    would_change: str
    changes_at: str | None
    window: tuple[str, str]
    settles_from: str
    absences_settle_after_seconds: int
    policy: dict[str, Any]
    records: list[dict[str, Any]]
    intervals: list[tuple[str, str]]
    guests: list[dict[str, Any]]  # unresolved people who could be this learner
    rules: list[dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """The form in which commands print it."""
        return asdict(self)


def explain_outcome(
    *, learner: Learner, session: ClassSession, now: datetime
) -> OutcomeExplanation:
    """Why this learner's outcome in this class is what it is, or would be if judged now."""
    known = evidence(session=session)
    _, conclusion = known.conclusion(learner_id=learner.pk, now=now)
    rows = Outcome.objects.filter(learner=learner, session=session, is_current=True)
    current = rows.select_related("policy").first()
    known_reason = current is not None and current.reason in set(Reason)
    reason = Reason(current.reason) if current and known_reason else conclusion.reason
    if current is None and now < session.ends_at and reason not in _NO_CLASS:
        reason = Reason.NOT_SETTLED_YET
    inside = union(
        clip(
            known.stays.get(learner.pk, ()), start=known.window.starts_at, end=known.window.ends_at
        )
    )
    policy = current.policy if current and current.policy else known.policy_row
    return OutcomeExplanation(
        outcome=current.outcome if current else "none",
        effective=bool(current and current.effective),
        revision=current.revision if current else 0,
        reason=reason.value,
        because=EXPLAIN[reason],
        would_change=WOULD_CHANGE[reason],
        changes_at=_iso(session.next_check_at),
        window=(known.window.starts_at.isoformat(), known.window.ends_at.isoformat()),
        settles_from=known.known.settles_from.isoformat(),
        absences_settle_after_seconds=int(known.policy.settle_missed.total_seconds()),
        policy={
            "version": policy.version,
            "min_presence_seconds": policy.min_presence_seconds,
            "late_grace_seconds": policy.late_grace_seconds,
            "early_grace_seconds": policy.early_grace_seconds,
            "partial_below": policy.partial_below,
        },
        records=_records(learner, session),
        intervals=[(start.isoformat(), end.isoformat()) for start, end in inside],
        guests=_guests(known, learner),
        rules=_rules(current, conclusion.rules),
    )


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _records(learner: Learner, session: ClassSession) -> list[dict[str, Any]]:
    rows = Endpoint.objects.filter(learner=learner, conference__matches__session=session)
    return [
        {
            "endpoint": row.endpoint_id,
            "call": row.conference.conference_id,
            "joined": row.started_at.isoformat(),
            "left": row.ended_at.isoformat(),
            "device": row.device_type,
            "recognised_by": row.identity_rule,
            "start": row.start_source,
        }
        for row in rows.select_related("conference").order_by("started_at", "pk")
    ]


def _guests(known: Evidence, learner: Learner) -> list[dict[str, Any]]:
    who = known.expected.get(learner.pk)
    return [
        {"endpoint": guest.endpoint, "shows": guest.mark, "why": found.why}
        for guest, found in known.guests
        if who is not None and found.could_be(who, guest)
    ]


def _rules(current: Outcome | None, rules: Any) -> list[dict[str, Any]]:
    found = [{"rule": rule.name, "input": rule.value, "passed": rule.passed} for rule in rules]
    if current is not None and current.origin != Origin.ENGINE:
        said = f"{current.decided_by or current.origin}: {current.note or current.outcome}"
        found.insert(0, {"rule": "decided_by_a_person", "input": said, "passed": False})
    return found
