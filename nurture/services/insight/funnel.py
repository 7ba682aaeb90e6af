"""The funnel of one version, and the runs behind each of its numbers: by the same statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from attendance.models import Learner
from delivery.selectors import ANYWHERE
from nurture.domain.funnel import PASSED_OVER, At, Ended, Funnel, State, funnel
from nurture.domain.reasons import Reason

#: Beside the states of a step: everybody who came to it.
REACHED = "reached"
#: Journeys as a whole; `left` also at one step: who ended early there.
WHOLE = {
    "begun": ("active", "paused", "completed", "exited"),
    "open": ("active", "paused"),
    "completed": ("completed",),
    "left": ("exited",),
}

# The journeys looked at: those that began since, and all that are under way.
_RUN = """
WITH run AS MATERIALIZED (
    SELECT id, learner_id, status, step_key, exit_reason, started_at, ended_at
      FROM user_nurture_journeys
     WHERE version_id = %(version)s AND NOT is_test AND NOT dry_run AND started_at >= %(since)s
    UNION ALL
    SELECT id, learner_id, status, step_key, exit_reason, started_at, ended_at
      FROM user_nurture_journeys
     WHERE version_id = %(version)s AND NOT is_test AND NOT dry_run AND started_at < %(since)s
       AND status IN ('active', 'paused'))
"""

# One row for each journey and step that it came to. The last that was said of the step counts: a
# message may have been withdrawn and planned anew.
_PAIR = f"""
, said AS (
    SELECT r.id, r.learner_id, r.status, r.step_key AS stands_at, q.*
      FROM run r
     CROSS JOIN LATERAL (
        SELECT k.step_key, min(k.decided_at) AS came_at,
               (array_agg(k.code ORDER BY k.id DESC)
                FILTER (WHERE k.code = ANY(%(telling)s)))[1] AS code,
               (array_agg(k.delivery_id ORDER BY k.id DESC)
                FILTER (WHERE k.code = 'step_planned'))[1] AS delivery_id
          FROM nurture_decision k
         WHERE k.journey_id = r.id AND k.step_key <> ''
           AND (%(step)s = '' OR k.step_key = %(step)s)
         GROUP BY k.step_key) q)
, pair AS (
    SELECT s.id, s.learner_id, s.step_key, s.came_at, d.id AS delivery_id, d.sent_at,
           coalesce(d.sent_at, d.settled_at, d.run_at, s.came_at) AS at, x.state,
           CASE WHEN x.state NOT IN ('skipped', 'failed') THEN ''
                WHEN s.code = 'step_planned' THEN coalesce(d.reason, '')
                ELSE s.code END AS why
      FROM said s
      LEFT JOIN LATERAL (  -- by its key, whatever the planner thinks of how many there are
        SELECT e.id, e.status, e.reason, e.sent_at, e.settled_at, e.run_at
          FROM {ANYWHERE} e
         WHERE e.id = s.delivery_id AND s.code = 'step_planned' LIMIT 1) d ON true
     CROSS JOIN LATERAL (SELECT CASE
        WHEN d.status IN ('sent', 'unknown') THEN d.status
        WHEN d.status IN ('failed', 'dead') THEN 'failed'
        WHEN s.status IN ('active', 'paused') AND s.stands_at = s.step_key THEN 'waiting'
        WHEN d.status IN ('pending', 'leased', 'sending') THEN 'waiting'
        WHEN d.status IN ('expired', 'cancelled', 'skipped') THEN 'skipped'
        WHEN s.code <> 'step_planned' THEN 'skipped'
        ELSE 'passed' END AS state) x)
"""  # noqa: S608
_COUNT = (
    _RUN
    + _PAIR
    + """
SELECT step_key, state, why, count(*),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY sent_at - came_at)
  FROM pair GROUP BY step_key, state, why
"""
)

# The last step to which a journey came.
_LAST = """
, ended AS (
    SELECT r.*, coalesce(l.step_key, '') AS last_step
      FROM run r
      LEFT JOIN LATERAL (
        SELECT k.step_key FROM nurture_decision k
         WHERE r.status = 'exited' AND k.journey_id = r.id AND k.step_key <> ''
         ORDER BY k.id DESC LIMIT 1) l ON true)
"""
_ENDS = "SELECT last_step, status, exit_reason, count(*) FROM ended GROUP BY 1, 2, 3"
_COUNT_ENDS = _RUN + _LAST + _ENDS

_PEOPLE = """
SELECT p.id, p.learner_id, l.name, l.email, p.step_key, p.state, p.why, p.at, p.delivery_id,
       c.time_zone, count(*) OVER ()
  FROM {rows} p
  JOIN attendance_learner l ON l.id = p.learner_id
  LEFT JOIN nurture_contact c ON c.learner_id = l.id
 WHERE {where}
 ORDER BY p.at DESC, p.id DESC LIMIT %(limit)s OFFSET %(offset)s
"""
_RUNS_AT = _RUN + _PAIR + _PEOPLE.format(
    rows="pair", where="(%(state)s = 'reached' OR p.state = %(state)s)"
    " AND (%(why)s = '' OR p.why = %(why)s)",
)  # fmt: skip
_RUNS_WHOLE = _RUN + _LAST + _PEOPLE.format(
    rows="""(SELECT id, learner_id, coalesce(nullif(last_step, ''), step_key) AS step_key,
                    last_step, status AS state, exit_reason AS why,
                    coalesce(ended_at, started_at) AS at, NULL::bigint AS delivery_id
               FROM ended WHERE status = ANY(%(statuses)s))""",
    where="(%(step)s = '' OR p.last_step = %(step)s) AND (%(why)s = '' OR p.why = %(why)s)",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Run:
    """One journey at one step."""

    journey_id: int
    learner_id: int
    name: str
    email: str
    step_key: str
    state: str
    why: str
    at: datetime  # when it was sent, ended, is due; or when the step was reached
    delivery_id: int | None
    zone: str  # the learner's, or ""


@dataclass(frozen=True, kw_only=True)
class Runs:
    """A page of them, and how many there are."""

    rows: list[Run]
    total: int


def count_runs(*, version_id: int, since: datetime) -> Funnel:
    """The figures of a version, in two statements whatever its size.

    Journeys that began from `since` on, and all that are under way; tests are left out.
    """
    values = _values(version_id, since)
    states = [
        At(step_key=step, state=State(state), why=why, journeys=count, median_wait=median)
        for step, state, why, count, median in _rows(_COUNT, values)
    ]
    ends = [
        Ended(step_key=step, status=status, reason=reason, journeys=count)
        for step, status, reason, count in _rows(_COUNT_ENDS, values)
    ]
    return funnel(states=states, ends=ends)


def runs_at(
    *,
    version_id: int,
    since: datetime,
    step: str,
    state: str,
    why: str = "",
    limit: int = 50,
    offset: int = 0,
) -> Runs:
    """The runs behind one number of count_runs, the newest first.

    `state`: one of State or REACHED, at a step; or one of WHOLE, then the state of a run is its
    status, and `step` the last that it came to, "" for any.
    """
    values = _values(version_id, since, step) | {
        "state": state, "why": why, "limit": limit, "offset": offset,
        "statuses": list(WHOLE.get(state, ())),
    }  # fmt: skip
    found = _rows(_RUNS_WHOLE if state in WHOLE else _RUNS_AT, values)
    rows = [
        Run(
            journey_id=journey, learner_id=learner, name=Learner.opened_name(name), email=email,
            step_key=key, state=at_step, why=reason, at=at, delivery_id=delivery, zone=zone or "",
        )
        for journey, learner, name, email, key, at_step, reason, at, delivery, zone, _ in found
    ]  # fmt: skip
    return Runs(rows=rows, total=found[0][-1] if found else 0)


def _values(version_id: int, since: datetime, step: str = "") -> dict[str, Any]:
    telling = [Reason.STEP_PLANNED.value, *sorted(code.value for code in PASSED_OVER)]
    return {"version": version_id, "since": since, "step": step, "telling": telling}


def _rows(sql: str, values: dict[str, Any]) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
