"""How attendance stands: for the overview, and for whatever measures telbot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from attendance.domain.kinds import Source

# Devices of people in the classes of a period, driven from the classes. Rooms, telephones, staff
# and those whom staff called a visitor are other kinds and do not count.
_STANDING = """
WITH m AS (
    SELECT count(*) FILTER (WHERE e.learner_id IS NOT NULL) AS known, count(*) AS everybody
      FROM attendance_endpoint e
     WHERE e.kind = 'human' AND e.conference_id IN (
        SELECT c.conference_id FROM attendance_classsession s
          JOIN attendance_conferencematch c ON c.session_id = s.id
         WHERE s.starts_at >= %(since)s AND s.starts_at <= %(now)s))
SELECT (SELECT count(*) FROM attendance_reviewitem WHERE state = 'open'),
       EXISTS (SELECT FROM attendance_learner), m.known, m.everybody,
       k.source, r.started_at, r.state, r.error, c.finished_at, r.failure,
       c.lag_p95_seconds, extract(epoch FROM c.finished_at - c.started_at)::float
  FROM m
 CROSS JOIN (VALUES ('calendar'), ('meet')) AS k (source)
  LEFT JOIN LATERAL (
    SELECT * FROM attendance_syncrun r WHERE r.source = k.source ORDER BY r.id DESC LIMIT 1) r
    ON true
  LEFT JOIN LATERAL (
    SELECT c.* FROM attendance_syncrun c
     WHERE c.source = k.source AND c.state = 'complete'
     ORDER BY c.window_end_at DESC LIMIT 1) c ON true
 ORDER BY k.source
"""

# A reading each ten minutes of two sources are 288 a day.
_LATELY = """
SELECT r.source, r.state, count(*)
  FROM (SELECT * FROM attendance_syncrun ORDER BY id DESC LIMIT 1000) r
 WHERE r.started_at > %(since)s GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How one source of Google was read last; all empty where it never was."""

    source: str
    started_at: datetime | None
    state: str | None
    error: str | None
    complete_at: datetime | None  # when the newest complete reading ended
    failure: str | None = ""  # google_errors.Failure, of the last one
    lag_seconds: int | None = None  # 95 % of the records were no later, as of the complete one
    seconds: float | None = None  # that it took

    @property
    def name(self) -> str:
        """The source in words."""
        return "Meet log" if self.source == Source.MEET else self.source


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits for a person, what there is, how many devices are known, how Google was read."""

    open_reviews: int
    has_learners: bool
    known: int  # devices of people that belong to a learner
    everybody: int  # devices of people
    readings: list[Reading]  # of the calendar, then of the Meet log


def standing(*, since: datetime, now: datetime) -> Standing:
    """How attendance stands, in one statement; devices of the classes begun in [since, now]."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"since": since, "now": now})
        rows = cursor.fetchall()
    reviews, has_learners, known, everybody = rows[0][:4]
    return Standing(reviews, has_learners, known, everybody, [Reading(*row[4:]) for row in rows])


def readings_lately(*, now: datetime) -> list[tuple[str, str, int]]:
    """How the readings of the last day ended: source, state, how many."""
    with connection.cursor() as cursor:
        cursor.execute(_LATELY, {"since": now - timedelta(days=1)})
        return [(source, state, count) for source, state, count in cursor.fetchall()]
