"""From outcomes that have just become effective to the facts that go out, once each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from attendance.domain.kinds import PRESENT_KINDS, EventKind, Flag, OutcomeKind
from attendance.domain.settlement import FACTS_FIRE_FOR
from attendance.domain.streaks import Past, landmarks, streak
from attendance.models import AttendanceEvent, ClassSession, Outcome
from attendance.selectors.history import NO_CLASS, pledged
from config import telemetry


@dataclass(frozen=True)
class Change:
    """An outcome that is new, and whether one that had effect was withdrawn by it."""

    outcome: Outcome
    corrects: bool


def past_of(*, outcome: Outcome, pledged: bool) -> Past:
    """Return what a streak needs to know of an outcome."""
    return Past(
        outcome=OutcomeKind(outcome.outcome),
        effective=outcome.effective,
        brief=Flag.BRIEF in outcome.flags,
        pledged=pledged,
    )


def publish(*, session: ClassSession, changes: Sequence[Change], now: datetime) -> int:
    """Write the facts of these changes; return how many are new.

    A fact has a key of learner and class, so it goes out once, also when an outcome flips back.
    Facts fire within 72 hours of the class's end; later changes are for the statistics, and what
    was said is taken back at any time.
    """
    expires_at = session.ends_at + FACTS_FIRE_FOR
    if not changes:
        return 0
    if now >= expires_at:
        return _take_back(session, changes, now)
    learners = [change.outcome.learner_id for change in changes]
    promised = pledged(learner_ids=learners, session_ids=[session.pk])
    history = _history(session, learners)
    events = [
        AttendanceEvent(
            kind=kind.value,
            learner_id=change.outcome.learner_id,
            session=session,
            outcome=change.outcome,
            key=_key(kind, change.outcome),
            streak=count,
            occurred_at=session.ends_at,
            recorded_at=now,
            expires_at=expires_at,
            trace=telemetry.traceparent(),
        )
        for change in changes
        for kind, count in _kinds(
            change,
            history[change.outcome.learner_id],
            pledged=(change.outcome.learner_id, session.pk) in promised,
        )
    ]
    return _add(events)


def _take_back(session: ClassSession, changes: Sequence[Change], now: datetime) -> int:
    """Say of what others were told of these outcomes that it is not so."""
    withdrawn = [change.outcome for change in changes if change.corrects]
    told = AttendanceEvent.objects.filter(
        session=session,
        learner__in=[outcome.learner_id for outcome in withdrawn],
        outcome__isnull=False,
    )
    learners = set(told.values_list("learner_id", flat=True))
    kind = EventKind.CORRECTED
    return _add(
        [
            AttendanceEvent(
                kind=kind.value,
                learner_id=outcome.learner_id,
                session=session,
                outcome=outcome,
                key=_key(kind, outcome),
                occurred_at=session.ends_at,
                recorded_at=now,
                expires_at=now + FACTS_FIRE_FOR,
                trace=telemetry.traceparent(),
            )
            for outcome in withdrawn
            if outcome.learner_id in learners
        ]
    )


def publish_outcomes(*, session: ClassSession, now: datetime) -> int:
    """Write the facts of what stands in a class, as its settling at `now` would have.

    For the replay of classes that were read long after they were held. Safe to run twice.
    """
    standing = Outcome.objects.filter(session=session, is_current=True, effective=True)
    changes = [Change(outcome=row, corrects=False) for row in standing.order_by("learner_id")]
    return publish(session=session, changes=changes, now=now)


def _add(events: list[AttendanceEvent]) -> int:
    known = set(
        AttendanceEvent.objects.filter(key__in=[event.key for event in events]).values_list(
            "key", flat=True
        )
    )
    fresh = [event for event in events if event.key not in known]
    AttendanceEvent.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def _key(kind: EventKind, outcome: Outcome) -> str:
    key = f"{kind}:{outcome.learner_id}:{outcome.session_id}"
    return f"{key}:{outcome.revision}" if kind == EventKind.CORRECTED else key


def _kinds(
    change: Change, history: Sequence[Past], *, pledged: bool
) -> list[tuple[EventKind, int]]:
    """Return the facts of one change, each with how many classes in a row have it."""
    found = [(EventKind.CORRECTED, 1)] if change.corrects else []
    this = past_of(outcome=change.outcome, pledged=pledged)
    if not this.effective or this.outcome == OutcomeKind.EXCUSED or this.brief:
        return found
    kinds = [EventKind(this.outcome)]
    if pledged and this.outcome == OutcomeKind.MISSED:
        kinds.append(EventKind.MISSED_PLEDGED)
    found += [(kind, streak(newest_first=[this, *history], fact=kind)) for kind in kinds]
    if pledged and this.outcome in PRESENT_KINDS:
        found.append((EventKind.KEPT, 1))
    found += [(kind, 1) for kind in landmarks(outcome=this.outcome, earlier_newest_first=history)]
    return found


def _history(session: ClassSession, learners: Sequence[int]) -> Mapping[int, list[Past]]:
    """Return the earlier classes of the course for each learner, newest first."""
    # Values, not rows: a course of a hundred classes would build thousands of outcomes.
    rows = list(
        Outcome.objects.filter(
            learner_id__in=learners,
            is_current=True,
            session__course=session.course_id,
            session__starts_at__lt=session.starts_at,
        )
        .exclude(NO_CLASS)
        .order_by("-session__starts_at", "-session_id")
        .values_list("learner_id", "session_id", "outcome", "effective", "flags")
    )
    promised = pledged(learner_ids=learners, session_ids={row[1] for row in rows})
    history: dict[int, list[Past]] = defaultdict(list)
    for learner, held, outcome, effective, flags in rows:
        history[learner].append(
            Past(
                outcome=OutcomeKind(outcome),
                effective=effective,
                brief=Flag.BRIEF in flags,
                pledged=(learner, held) in promised,
            )
        )
    return history
