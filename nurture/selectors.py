"""What others may ask of nurture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from attendance.models import ClassSession
from delivery.selectors import ANYWHERE
from nurture.domain.jobs import OVERDUE
from nurture.domain.leaving import FEWEST, LOOKS_BACK, SOON, Leaving

# Asked each second: each part ends at a partial index.
_WORK = """
SELECT EXISTS (SELECT FROM attendance_attendanceevent WHERE processed_at IS NULL),
       EXISTS (SELECT FROM nurture_deliveries
                WHERE settled_at IS NOT NULL AND observed_at IS NULL),
       EXISTS (SELECT FROM user_nurture_journeys
                WHERE status = 'active' AND next_action_at IS NOT NULL AND next_action_at <= %s)
"""


@dataclass(frozen=True)
class Work:
    """What a pass of the engine would find."""

    facts: bool
    ends: bool  # of messages that journeys wait on
    due: bool  # journeys


def work(*, now: datetime) -> Work:
    """What there is to do for the engine, in one cheap statement."""
    with connection.cursor() as cursor:
        cursor.execute(_WORK, [now])
        return Work(*cursor.fetchone())


def has_work(*, now: datetime, settles: bool = True, advances: bool = True) -> bool:
    """Whether a pass of the engine would find something to do.

    `settles`, `advances`: whether the switches let it settle classes and move journeys.
    """
    found = work(now=now)
    if found.facts or (advances and (found.ends or found.due)):
        return True
    return settles and ClassSession.objects.filter(next_check_at__lte=now).exists()


# By which zone a course's learners are planned for, where it is not the one of the last plan.
_ZONES_CHANGED = """
SELECT c.id, coalesce(nullif(c.time_zone, ''), %(default)s)
  FROM attendance_course c
  LEFT JOIN nurture_coursezone z ON z.course_id = c.id
 WHERE z.zone IS DISTINCT FROM coalesce(nullif(c.time_zone, ''), %(default)s)
 ORDER BY c.id
"""


def zones_changed() -> list[tuple[int, str]]:
    """Courses whose zone is not the one that was planned by, with the one that holds now."""
    rows = _rows(_ZONES_CHANGED, {"default": settings.TIME_ZONE})
    return [(row[0], row[1]) for row in rows]


#: What a question before a class is, for the learner's consent.
QUESTION_CATEGORY = "attendance"

# Who is expected in a class with a link that its course asks about by now, and was not decided
# about; or was, and what decided it is no longer so. Driven from the courses that ask.
_UNDECIDED = """
WITH asking AS (
    SELECT s.id, s.course_id, s.starts_at
      FROM attendance_course c
      JOIN attendance_classsession s
        ON s.course_id = c.id AND s.status = 'scheduled'
       AND s.starts_at > %(now)s AND s.starts_at <= %(now)s + interval '168 hours'
       AND (s.meeting_code <> '' OR s.meet_url <> '')
     CROSS JOIN LATERAL (
        SELECT p.ask_before_hours FROM attendance_attendancepolicy p
         WHERE p.course_id = c.id AND (p.valid_from IS NULL OR p.valid_from <= s.starts_at)
         ORDER BY p.version DESC LIMIT 1) p
     WHERE c.active AND s.starts_at <= %(now)s + p.ask_before_hours * interval '1 hour'
       AND (%(among)s::bigint[] IS NULL OR s.id = ANY(%(among)s::bigint[])))
SELECT DISTINCT a.id, e.learner_id
  FROM asking a
  JOIN attendance_enrolment e
    ON e.course_id = a.course_id AND (e.starts_at IS NULL OR e.starts_at <= a.starts_at)
   AND (e.ends_at IS NULL OR e.ends_at > a.starts_at)
  LEFT JOIN nurture_pledgequestion q ON q.session_id = a.id AND q.learner_id = e.learner_id
  LEFT JOIN nurture_contact k ON k.learner_id = e.learner_id
  LEFT JOIN delivery_chat h ON h.id = k.chat_id
 WHERE q.id IS NULL OR q.code = 'taken_back'
    OR (q.code IN ('nurture_off', 'not_in_rollout')
        AND (q.inputs ->> 'percent')::float <> %(percent)s)
    OR (q.code IN ('no_contact', 'not_linked', 'unreachable', 'opted_out')
        AND h.reachability = 'ok'
        AND coalesce(
            (SELECT w.granted FROM delivery_consent w
              WHERE w.chat_id = h.id AND w.category = %(category)s),
            (SELECT w.granted FROM delivery_consent w
              WHERE w.chat_id = h.id AND w.category = ''), false))
 ORDER BY a.id, e.learner_id LIMIT %(limit)s
"""

# What followed the messages of each step. `opened`: only messages since the gate of the sequence
# was opened last. Somebody who came back since does not count as gone.
_LEFT_BY_STEP = f"""
SELECT k.sequence_id, k.step_key, count(*),
       count(*) FILTER (WHERE l.blocked),
       count(*) FILTER (WHERE l.stopped AND l.blocked IS NOT TRUE)
  FROM nurture_decision k
  JOIN {ANYWHERE} d ON d.id = k.delivery_id
  JOIN delivery_gate g ON g.key = d.stream
  JOIN delivery_chat c ON c.id = d.chat_id
 CROSS JOIN LATERAL (SELECT coalesce(d.sent_at, d.intent_at) AS at) t
 CROSS JOIN LATERAL (
    SELECT c.reachability = 'blocked' AND c.reachability_changed_at > t.at
           AND c.reachability_changed_at <= t.at + %(soon)s AS blocked,
           EXISTS (SELECT FROM delivery_consent w
                    WHERE w.chat_id = c.id AND w.category = '' AND NOT w.granted
                      AND w.source = 'stop'
                      AND w.changed_at > t.at AND w.changed_at <= t.at + %(soon)s) AS stopped) l
 WHERE k.code = 'step_planned' AND k.sequence_id = ANY(%(sequences)s)
   AND d.status IN ('sent', 'unknown') AND NOT d.is_test
   AND t.at > %(since)s AND t.at <= %(now)s
   AND (NOT %(opened)s OR d.intent_at > g.updated_at)
 GROUP BY k.sequence_id, k.step_key
"""  # noqa: S608

# Sequences after one of whose steps several learners left. Driven from those who left, so that
# it costs next to nothing where nobody does.
_DRIVEN_AWAY = """
WITH gone AS (
    SELECT c.id AS chat, c.reachability_changed_at AS at FROM delivery_chat c
     WHERE c.reachability = 'blocked' AND c.reachability_changed_at > %(since)s
    UNION ALL
    SELECT w.chat_id, w.changed_at FROM delivery_consent w
     WHERE NOT w.granted AND w.changed_at > %(since)s AND w.category = '' AND w.source = 'stop')
SELECT DISTINCT k.sequence_id
  FROM gone
  JOIN nurture_deliveries d
    ON d.chat_id = gone.chat AND d.status IN ('sent', 'unknown') AND NOT d.is_test
   AND coalesce(d.sent_at, d.intent_at) < gone.at
   AND coalesce(d.sent_at, d.intent_at) >= gone.at - %(soon)s
  JOIN delivery_gate g
    ON g.key = d.stream AND g.closed_until <= clock_timestamp() AND d.intent_at > g.updated_at
  JOIN nurture_decision k ON k.delivery_id = d.id AND k.code = 'step_planned'
 GROUP BY k.sequence_id, k.step_key HAVING count(DISTINCT gone.chat) >= %(fewest)s
"""

# Streams that closed by themselves, of which nobody was told yet: once for each closing.
_HELD_UNSEEN = """
SELECT x.task, x.key, x.reason
  FROM (SELECT g.key, g.reason,
               'held:' || g.key || ':' || extract(epoch FROM g.updated_at)::bigint AS task
          FROM delivery_gate g
         WHERE g.scope = 'stream' AND g.closed_until > clock_timestamp()
           AND g.closed_by IN ('sender', 'telbot')) x
 WHERE NOT EXISTS (SELECT FROM nurture_stafftask t WHERE t.key = x.task)
 ORDER BY x.key
"""

# What began and what came to its end, hour by hour.
_BY_HOUR = """
SELECT date_trunc('hour', j.started_at, 'UTC') AS hour, 'started', count(*)
  FROM user_nurture_journeys j
 WHERE j.started_at >= %(since)s AND j.started_at < %(until)s AND NOT j.is_test
   AND NOT j.dry_run
 GROUP BY 1
 UNION ALL
SELECT date_trunc('hour', j.ended_at, 'UTC'),
       CASE WHEN j.status = 'completed' THEN 'completed' ELSE j.exit_reason END, count(*)
  FROM user_nurture_journeys j
 WHERE j.ended_at >= %(since)s AND j.ended_at < %(until)s AND j.ended_at IS NOT NULL
   AND NOT j.is_test AND NOT j.dry_run
 GROUP BY 1, 2
"""

_STANDING = """
SELECT (SELECT count(*) FROM nurture_stafftask WHERE done_at IS NULL),
       EXISTS (SELECT FROM nurture_sequences WHERE published_version_id IS NOT NULL),
       EXISTS (SELECT FROM nurture_contact WHERE chat_id IS NOT NULL),
       (SELECT max(until) FROM nurture_alertsilence WHERE until > clock_timestamp()),
       EXISTS (SELECT FROM nurture_job WHERE hour IS NOT NULL
                AND (tries > 0 OR paused_at IS NULL AND next_at < %(overdue)s)),
       (SELECT count(*) FROM (SELECT FROM nurture_auditfinding
                               WHERE gone_at IS NULL LIMIT 10001) x),
       (SELECT recorded_at FROM attendance_attendanceevent
         WHERE processed_at IS NULL ORDER BY id LIMIT 1),
       least((SELECT min(next_action_at) FROM user_nurture_journeys
               WHERE status = 'active' AND next_action_at <= %(now)s),
             (SELECT min(settled_at) FROM nurture_deliveries
               WHERE settled_at IS NOT NULL AND observed_at IS NULL))
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What waits for a person, and what there is."""

    open_tasks: int
    has_published: bool
    has_linked: bool  # a learner has opened the bot
    silenced_until: datetime | None = None  # nobody is told of alerts until then
    has_trouble: bool = False  # a nightly job may have failed: services/jobs.py says which
    findings: int = 0  # of the last audit; at most 10,001, which means more
    fact_since: datetime | None = None  # since when a fact has waited for the engine
    journey_since: datetime | None = None  # or a journey, also while `nurture` is off


def by_hour(*, since: datetime, until: datetime) -> list[tuple[datetime, str, int]]:
    """What journeys did in [since, until): hour (UTC), what, how often.

    What is `started`, `completed`, or the reason for which one was left. Tests do not count.
    """
    values = {"since": since, "until": until}
    return [(row[0], row[1], row[2]) for row in _rows(_BY_HOUR, values)]


def standing(*, now: datetime) -> Standing:
    """Counts as they are, in one cheap statement."""
    return Standing(*_rows(_STANDING, {"overdue": now - OVERDUE, "now": now})[0])


def undecided(
    *, now: datetime, percent: float, limit: int, among: Iterable[int] | None = None
) -> list[tuple[int, int]]:
    """Pairs of class and learner of whom it is open whether they are asked if they come.

    `percent`: to which share nurture is rolled out. `among`: only these classes.
    """
    values: dict[str, Any] = {
        "now": now, "percent": percent, "limit": limit, "category": QUESTION_CATEGORY,
        "among": None if among is None else list(among),
    }  # fmt: skip
    return [(row[0], row[1]) for row in _rows(_UNDECIDED, values)]


def left_by_step(
    *, sequence_ids: Iterable[int], since: datetime, now: datetime, since_opened: bool = False
) -> dict[int, list[Leaving]]:
    """Who left within a day of each step's messages, by sequence, in one statement (N16).

    Messages that went out, or may have, after `since` up to `now`; no tests. `since_opened`: only
    those since the sequence's gate was opened last.
    """
    values = {
        "sequences": list(sequence_ids), "since": since, "now": now, "soon": SOON,
        "opened": since_opened,
    }  # fmt: skip
    found: dict[int, list[Leaving]] = defaultdict(list)
    for sequence, step, messages, blocked, stopped in _rows(_LEFT_BY_STEP, values):
        found[sequence].append(
            Leaving(step_key=step, messages=messages, blocked=blocked, stopped=stopped)
        )
    return dict(found)


def driven_away(*, now: datetime) -> list[int]:
    """The open sequences after one of whose steps at least FEWEST learners left of late."""
    values = {"since": now - LOOKS_BACK, "soon": SOON, "fewest": FEWEST}
    return [row[0] for row in _rows(_DRIVEN_AWAY, values)]


def held_unseen() -> list[tuple[str, str, str]]:
    """Streams that closed by themselves and of which staff were not told: task, gate, reason."""
    return [(row[0], row[1], row[2]) for row in _rows(_HELD_UNSEEN, {})]


def _rows(sql: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return list(cursor.fetchall())
