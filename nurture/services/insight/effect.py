"""Learners written to beside learners held out, each at the next class after their entry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from attendance.domain.kinds import PRESENT_KINDS, OutcomeKind
from attendance.models import Learner
from nurture.domain.effect import Case, Effect, effect_of

# First entries: of those who may be written to, their first journey since they were drawn; of
# those held out, the first fact that would have let them in. Then the first class of the same
# course that begins later and counts for the learner: cancelled and excused ones are stepped over.
_CASES = """
WITH entry AS (
    SELECT j.learner_id, false AS held_out, j.started_at AS at, j.course_id, j.id AS journey_id
      FROM nurture_holdoutassignment h
      JOIN user_nurture_journeys j
        ON j.sequence_id = h.sequence_id AND j.learner_id = h.learner_id
       AND NOT j.is_test AND NOT j.dry_run AND j.started_at >= h.assigned_at
     WHERE h.sequence_id = %(sequence)s AND NOT h.held_out
    UNION ALL
    SELECT k.learner_id, true, k.decided_at, s.course_id, NULL
      FROM nurture_holdoutassignment h
      JOIN nurture_decision k
        ON k.sequence_id = h.sequence_id AND k.learner_id = h.learner_id AND k.code = 'held_out'
      JOIN attendance_attendanceevent e ON e.id = k.event_id
      JOIN attendance_classsession s ON s.id = e.session_id
     WHERE h.sequence_id = %(sequence)s AND h.held_out
), first AS (
    SELECT DISTINCT ON (learner_id) * FROM entry ORDER BY learner_id, at, journey_id
)
SELECT f.learner_id, l.name, l.email, f.held_out, f.at, f.journey_id,
       n.session_id, n.title, n.starts_at, n.outcome_id, n.outcome, n.present_seconds
  FROM first f
  JOIN attendance_learner l ON l.id = f.learner_id
  LEFT JOIN LATERAL (
    SELECT s.id AS session_id, coalesce(nullif(s.title, ''), c.title) AS title, s.starts_at,
           o.id AS outcome_id, o.outcome, o.present_seconds
      FROM attendance_classsession s
      JOIN attendance_course c ON c.id = s.course_id
      JOIN attendance_outcome o
        ON o.session_id = s.id AND o.learner_id = f.learner_id AND o.is_current
     WHERE s.course_id = f.course_id AND s.starts_at > f.at AND s.status <> 'cancelled'
       AND o.outcome <> 'excused'
     ORDER BY s.starts_at, s.id LIMIT 1) n ON true
 ORDER BY f.at, f.learner_id
"""


@dataclass(frozen=True, kw_only=True)
class Counted:
    """One learner as the effect counts them."""

    learner_id: int
    name: str
    email: str
    held_out: bool
    at: datetime  # when they entered, or would have
    journey_id: int | None
    session_id: int | None  # the next class; None while there is none with an outcome
    title: str
    starts_at: datetime | None
    outcome_id: int | None
    outcome: str
    seconds: int  # attended

    @property
    def came(self) -> bool | None:
        """Whether they came to that class; None while that is not known."""
        if self.outcome in PRESENT_KINDS:
            return True
        return False if self.outcome == OutcomeKind.MISSED else None


def cases(*, sequence_id: int) -> list[Counted]:
    """Every learner that counts, by the moment of their entry; in one statement.

    Whoever entered before there was a holdout was not drawn, and is left out.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CASES, {"sequence": sequence_id})
        return [_counted(row) for row in cursor.fetchall()]


def effect(rows: list[Counted]) -> Effect:
    """Both groups counted."""
    return effect_of(
        Case(held_out=row.held_out, came=row.came, minutes=row.seconds / 60) for row in rows
    )


def _counted(row: tuple[Any, ...]) -> Counted:
    learner, name, email, held, at, journey, session, title, starts, outcome, kind, seconds = row
    return Counted(
        learner_id=learner, name=Learner.opened_name(name), email=email, held_out=held, at=at,
        journey_id=journey, session_id=session, title=title or "", starts_at=starts,
        outcome_id=outcome, outcome=kind or "", seconds=seconds or 0,
    )  # fmt: skip
