"""Thousands of runs of one version, made by the database, in every state that there is."""

from __future__ import annotations

from typing import Any

from django.db import connection

from nurture.models import Sequence
from tests.factories import nurture as make

STEPS = ("hello", "later", "last")
SOURCE = make.PLAIN + "".join(
    f"  - {{key: {key}, wait: {{after: 2d}}, text: This is {key}.}}\n" for key in STEPS[1:]
)
_LEARNERS = 400

# A draw for each number and purpose: the same in each run, without a state.
_DRAW = """
CREATE FUNCTION pg_temp.draw(n bigint, purpose text, below int) RETURNS int LANGUAGE sql IMMUTABLE
AS $$ SELECT (hashtextextended(n || purpose, 7) & 1048575)::int % below $$
"""
_PEOPLE = """
WITH made AS (
    INSERT INTO attendance_learner (email, email_key, name, name_words, created_at)
    SELECT a, a, 'plain:Learner ' || n, '{}', %(at)s
      FROM generate_series(1, %(learners)s) n, LATERAL (SELECT n || %(slug)s || '@run.example' a) x
    RETURNING id)
INSERT INTO delivery_chat (telegram_id, telegram_key, kind, reachability)
SELECT 'plain:' || 5000000000 + id, gen_random_uuid(), 'private', 'ok' FROM made
"""
_JOURNEYS = """
INSERT INTO user_nurture_journeys (
    sequence_id, version_id, learner_id, entry_key, round, slot, status, exit_reason, step_key,
    anchor_at, next_action_at, paused_at, steps_taken, is_test, started_at, ended_at)
SELECT %(sequence)s, %(version)s,
       (%(learners)s::bigint[])[1 + n %% %(many)s], 'session:' || n, 1,
       CASE WHEN x.status IN ('active', 'paused') THEN n END, x.status,
       CASE WHEN x.status = 'exited'
            THEN (ARRAY['exit_fact', 'opted_out', 'corrected'])[1 + pg_temp.draw(n, 'why', 3)]
            ELSE '' END,
       (ARRAY['', 'hello', 'later', 'last'])[1 + x.depth], y.at,
       CASE WHEN x.status = 'active' THEN y.at END, CASE WHEN x.status = 'paused' THEN y.at END,
       x.depth, n %% 53 = 0, y.at, CASE WHEN x.status IN ('completed', 'exited') THEN y.at END
  FROM generate_series(1, %(runs)s) n
 CROSS JOIN LATERAL (
    SELECT (ARRAY['active', 'paused', 'completed', 'completed', 'exited'])
           [1 + pg_temp.draw(n, 'status', 5)] AS status,
           pg_temp.draw(n, 'depth', 4) AS depth) x
 CROSS JOIN LATERAL (SELECT %(at)s + n * interval '10 minutes' AS at) y
"""
# What was said at each step: a code, and what became of the message where there is one.
_SAID = """
CREATE TEMP TABLE said AS
SELECT j.id AS journey, j.learner_id, c.id AS chat, j.started_at AS began, step.key, v.ord,
       v.code, v.status, v.reason,
       'run:' || j.id || ':' || step.key || ':' || v.ord AS dedupe_key
  FROM user_nurture_journeys j
  JOIN delivery_chat c ON c.telegram_id = 'plain:' || 5000000000 + j.learner_id
 CROSS JOIN LATERAL unnest(ARRAY['hello', 'later', 'last']) WITH ORDINALITY AS step(key, place)
 CROSS JOIN LATERAL (SELECT pg_temp.draw(j.id, step.key, 14) AS kind) k
 CROSS JOIN LATERAL (
    SELECT * FROM (VALUES
        (0, 1, 'step_planned', 'sent', ''), (1, 1, 'step_planned', 'sent', ''),
        (2, 1, 'step_planned', 'unknown', 'no_answer'),
        (3, 1, 'step_planned', 'failed', 'chat_blocked'), (4, 1, 'step_planned', 'dead', 'poison'),
        (5, 1, 'step_planned', 'expired', 'expired'), (6, 1, 'step_planned', 'pending', ''),
        (7, 1, 'condition_false', '', ''), (8, 1, 'branch_taken', '', ''),
        (9, 1, 'waiting', '', ''), (9, 2, 'step_planned', 'sent', ''),
        (10, 1, 'step_planned', 'cancelled', 'withdrawn'), (10, 2, 'step_planned', 'sent', ''),
        (11, 1, 'step_planned', 'cancelled', 'withdrawn'), (11, 2, 'missed_in_pause', '', ''),
        (12, 1, 'variable_missing', '', ''), (12, 2, 'step_skipped', '', ''),
        (13, 1, 'step_planned', 'cancelled', 'condition_changed')
    ) AS it(kind, ord, code, status, reason) WHERE it.kind = k.kind) v
 WHERE j.version_id = %(version)s AND step.place <= j.steps_taken
 ORDER BY j.id, step.place, v.ord
"""
_DELIVERIES = """
INSERT INTO nurture_deliveries (
    chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason, due_at,
    run_at, window_days, window_zone, leased_by, fence, attempts, deaths, last_error, is_test,
    diverted, withdrawal, sent_at, intent_at, settled_at)
SELECT chat, %(stream)s, 1, 100, '', dedupe_key, 'Hello', '[]', status, reason, x.at, x.at, 127, '',
       '', 0, 0, 0, '', false, false, '', CASE WHEN status = 'sent' THEN x.at END, x.at,
       CASE WHEN status <> 'pending' THEN x.at END
  FROM said
 CROSS JOIN LATERAL (
    SELECT began + pg_temp.draw(journey, key || 'wait', 5000) * interval '1 minute' AS at) x
 WHERE status <> ''
"""
_DECISIONS = """
INSERT INTO nurture_decision (
    learner_id, sequence_id, journey_id, step_key, code, inputs, delivery_id, decided_at)
SELECT s.learner_id, %(sequence)s, s.journey, s.key, s.code, '{}', d.id,
       s.began + s.ord * interval '1 minute'
  FROM said s LEFT JOIN nurture_deliveries d ON d.dedupe_key = s.dedupe_key
 ORDER BY s.journey, s.key, s.ord
"""


def make_runs(*, runs: int, slug: str = "many-runs") -> Sequence:
    """A published sequence of three steps with so many journeys, begun ten minutes apart."""
    sequence = make.make_sequence(SOURCE.replace("missed-class", slug))
    assert sequence.published_version is not None
    values: dict[str, Any] = {
        "at": make.CLASS_STARTS, "runs": runs, "slug": slug, "many": _LEARNERS,
        "sequence": sequence.pk, "version": sequence.published_version.pk,
        "stream": f"stream:{slug}",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DRAW.replace("CREATE", "CREATE OR REPLACE"))
        cursor.execute(_PEOPLE, values | {"learners": _LEARNERS})
        cursor.execute(
            "SELECT array_agg(id) FROM attendance_learner WHERE email LIKE %s", [f"%{slug}@%"]
        )
        values["learners"] = cursor.fetchone()[0]
        for sql in (_JOURNEYS, _SAID, _DELIVERIES, _DECISIONS):
            cursor.execute(sql, values)
        cursor.execute("DROP TABLE said")
    return sequence
