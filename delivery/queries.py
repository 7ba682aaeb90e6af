"""Every statement that moves a delivery: the one door to the queue.

Each transition is guarded: by the status it leaves, by the fence, by the lease. No row changed
means that somebody else won, and whoever lost drops everything. Leases, slots and gates go by
clock_timestamp(), everything in a learner's life by telbot_now(); see docs/architecture.md.

`(SELECT telbot_now())` and not `telbot_now()` in a WHERE: bare, it is volatile, is evaluated for
every row and defeats the index (a million pending, none due: 606 ms against 0.2 ms). LIMIT is a
literal: `LIMIT (SELECT …)` sorts every pending row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

Values = dict[str, Any]

# A row that the WHERE refuses is not locked, so nobody waits while there is enough work out.
LOCK_GATE = """
SELECT g.rate, g.next_slot_at,
       (SELECT max(b.closed_until) FROM delivery_gate b
         WHERE b.scope = 'bot' AND b.closed_until > clock_timestamp()) AS closed_until
  FROM delivery_gate g
 WHERE g.key = %(key)s AND g.next_slot_at < clock_timestamp() + %(low_water)s
   FOR NO KEY UPDATE
"""

# LATERAL by primary key: no plan can hash or scan the table for seventy rows. OFFSET 0: nor hash
# all that is in flight, whose dead entries are many while a report holds an old snapshot. `behind`:
# how long the one before it in its chat still waits, so that nobody overtakes what pacing, a short
# retry or a snooze that ends within two minutes put off; a later one does not hold it up. Which
# streams are open is asked once (ARRAY), not for each row that a chat has behind closed ones.
_CANDIDATE = """
SELECT d.id, d.chat_id, d.due_at, d.deaths, c.telegram_id, c.kind, d.text, d.buttons, d.trace,
       p.run_at,
       c.next_slot_at AS chat_free_at,
       EXISTS (SELECT FROM nurture_deliveries o
                WHERE o.chat_id = d.chat_id AND o.status IN ('leased', 'sending')
               OFFSET 0) AS chat_busy,
       (SELECT e.run_at - (SELECT telbot_now()) FROM nurture_deliveries e
         WHERE e.chat_id = d.chat_id AND e.status = 'pending' AND e.lane = d.lane
           AND (e.due_at, e.priority, e.id) < (d.due_at, d.priority, d.id)
           AND e.run_at <= (SELECT telbot_now()) + interval '2 minutes'
           AND (d.lane = 0 OR e.stream = ANY (ARRAY(
                SELECT g.key FROM delivery_gate g
                 WHERE g.scope = 'stream' AND g.closed_until <= clock_timestamp())))
         ORDER BY e.due_at DESC, e.priority DESC, e.id DESC LIMIT 1) AS behind
  FROM ({picked}) p
 CROSS JOIN LATERAL (
    SELECT w.id, w.chat_id, w.deaths, w.text, w.buttons, w.lane, w.due_at, w.priority, w.trace
      FROM nurture_deliveries w
     WHERE w.id = p.id AND w.status = 'pending' FOR NO KEY UPDATE SKIP LOCKED) d
 CROSS JOIN LATERAL (
    SELECT h.telegram_id, h.kind, h.next_slot_at
      FROM delivery_chat h WHERE h.id = d.chat_id OFFSET 0) c
 ORDER BY p.due_at, p.priority, p.run_at, p.id
"""

# Driven from the open streams, so that a large backlog behind a closed one costs nothing
# (100,000 due rows behind it: 0.7 ms against 169 ms for a plain join). `due_at`, `run_at`, `id`:
# while more is due than one claim takes, the next begins where the last one ended, past the dead
# entries that an old snapshot keeps at the head of the index; thousands may be due at one moment.
MOST_READ = 70
READ_BULK = _CANDIDATE.format(
    picked="""
    SELECT x.id, x.due_at, x.priority, x.run_at
      FROM delivery_gate s
     CROSS JOIN LATERAL (
        SELECT q.id, q.due_at, q.priority, q.run_at FROM nurture_deliveries q
         WHERE q.stream = s.key AND q.status = 'pending' AND q.lane = 1
           AND (q.due_at, q.run_at, q.id) >= (%(due_at)s, %(run_at)s, %(id)s)
           AND q.run_at <= (SELECT telbot_now())
         ORDER BY q.due_at, q.run_at, q.id LIMIT 70) x
     WHERE s.scope = 'stream' AND s.closed_until <= (SELECT clock_timestamp())
     ORDER BY x.due_at, x.priority, x.run_at, x.id LIMIT 70"""
)

# Asked four times a second, and mostly in vain: one look instead of a transaction.
A_REPLY_WAITS = """
SELECT EXISTS (SELECT FROM nurture_deliveries
                WHERE status = 'pending' AND lane = 0 AND run_at <= (SELECT telbot_now()))
"""

READ_REPLIES = _CANDIDATE.format(
    picked="""
    SELECT q.id, q.due_at, q.priority, q.run_at FROM nurture_deliveries q
     WHERE q.status = 'pending' AND q.lane = 0 AND q.run_at <= (SELECT telbot_now())
     ORDER BY q.due_at, q.run_at, q.id LIMIT 20"""
)

GRANT = """
WITH s AS (
    SELECT * FROM unnest(%(ids)s::bigint[], %(chats)s::bigint[], %(slots)s::timestamptz[],
                         %(free)s::timestamptz[]) AS s(id, chat, slot, free)),
chats AS (
    UPDATE delivery_chat c SET next_slot_at = s.free FROM s WHERE c.id = s.chat),
put_off AS (
    UPDATE nurture_deliveries d SET run_at = (SELECT telbot_now()) + o.wait
      FROM unnest(%(off)s::bigint[], %(waits)s::interval[]) AS o(id, wait)
     WHERE d.id = o.id AND d.status = 'pending'),
gate AS (
    UPDATE delivery_gate SET next_slot_at = %(next)s WHERE key = %(key)s)
UPDATE nurture_deliveries d
   SET status = 'leased', fence = d.fence + 1, slot_at = s.slot, leased_by = %(me)s,
       lease_until = greatest(s.slot, clock_timestamp()) + %(lease)s
  FROM s WHERE d.id = s.id AND d.status = 'pending'
RETURNING d.id, d.fence
"""

# A reply takes its slot out of bulk's future, so that both together stay below the limit.
PUSH_BULK = """
UPDATE delivery_gate
   SET next_slot_at = greatest(next_slot_at, clock_timestamp()) + %(slots)s * interval '1 s' / rate
 WHERE key = 'bot' AND rate > 0
"""

# What came of each try, in micro-batches. A late answer of the same fence also settles an unknown.
# `uncounted`: this was no try of its own (a slot missed, a 429). A withdrawal that came while the
# request was on the wire takes effect here. JSON, because thirteen arrays cost the driver eight
# times as much. The LIMIT tells the planner that there are few, so that it looks them up by key.
_RECORDED = """
r AS (
    SELECT * FROM json_to_recordset(%(results)s::json)
        AS r(id bigint, fence int, status text, reason text, wait float, uncounted int,
             message_id bigint, diverted bool, outcome text, http int, code int, said text,
             retry_after int)
     LIMIT {most}),
done AS (
    UPDATE nurture_deliveries d
       SET status = CASE WHEN r.status = 'pending' AND d.withdrawal <> '' THEN 'cancelled'
                         ELSE r.status END,
           reason = CASE WHEN r.status = 'pending' THEN d.withdrawal ELSE r.reason END,
           run_at = CASE WHEN r.status = 'pending' AND r.wait > 0
                         THEN telbot_now() + r.wait * interval '1 s' ELSE d.run_at END,
           attempts = greatest(0, d.attempts - r.uncounted),
           message_id = coalesce(r.message_id, d.message_id),
           diverted = r.diverted,
           sent_at = CASE WHEN r.status = 'sent' THEN telbot_now() ELSE d.sent_at END,
           settled_at = CASE WHEN r.status = 'unknown' THEN NULL
                             WHEN r.status = 'pending' AND d.withdrawal = '' THEN NULL
                             ELSE telbot_now() END,
           last_error = r.said,
           lease_until = NULL, leased_by = '', slot_at = NULL
      FROM r
     WHERE d.id = r.id AND d.fence = r.fence AND d.status IN ('sending', 'unknown')
    RETURNING d.id, d.fence, d.status),
noted AS (
    UPDATE delivery_attempt a
       SET finished_at = clock_timestamp(), outcome = r.outcome, http_status = r.http,
           error_code = r.code, description = r.said, retry_after = r.retry_after,
           message_id = r.message_id
      FROM r JOIN done ON done.id = r.id
     WHERE a.delivery_id = r.id AND a.fence = r.fence)"""

# The last look, in the statement that commits the intent. `verdict` says what became of each.
# `status = (SELECT 'leased')` is looked up by primary key: as a plain constant it would go through
# the index of what is in flight, whose dead entries grow with every message.
#
# `{told}`, `{told_at}`: what counts for the cap, and since when. The braces are filled below.
_LOOKED = """
v AS (
    SELECT * FROM json_to_recordset(%(intents)s::json) AS v(id bigint, fence int)
     LIMIT {{most}}),
t AS (SELECT telbot_now() AS now, clock_timestamp() AS real),
q AS (
    SELECT d.id, d.fence, d.window_opens, d.window_closes, d.window_days, d.window_zone,
           c.snoozed_until, c.reachability, t.now,
           (SELECT {told_at} + interval '24 hours'
              FROM nurture_deliveries o
             WHERE d.cap_defers AND o.chat_id = d.chat_id AND o.lane = 1 AND {told}
             ORDER BY {told_at} DESC
            OFFSET greatest(d.cap_per_day - 1, 0) LIMIT 1) AS room_at,
           CASE
           WHEN {walled} OR EXISTS (
                SELECT FROM delivery_gate g WHERE g.closed_until > t.real AND ({gate}))
                THEN 'gate'
           WHEN d.expires_at <= t.now THEN 'expired'
           WHEN c.reachability <> 'ok' THEN 'unreachable'
           WHEN {unasked} THEN 'go'
           WHEN NOT coalesce(
                (SELECT k.granted FROM delivery_consent k
                  WHERE k.chat_id = d.chat_id AND k.category = d.category),
                (SELECT k.granted FROM delivery_consent k
                  WHERE k.chat_id = d.chat_id AND k.category = ''), false)
                THEN 'no_consent'
           WHEN c.snoozed_until > t.now THEN 'snoozed'
           WHEN NOT telbot_window_open(
                t.now, d.window_opens, d.window_closes, d.window_days::int, d.window_zone)
                THEN 'window'
           WHEN d.cap_per_day IS NOT NULL AND d.cap_per_day <= (
                SELECT count(*) FROM nurture_deliveries o
                 WHERE o.chat_id = d.chat_id AND o.lane = 1 AND {told}
                   AND {told_at} > t.now - interval '24 hours')
                THEN CASE WHEN d.cap_defers THEN 'full' ELSE 'capped' END
           ELSE 'go' END AS verdict
      FROM v
      JOIN nurture_deliveries d ON d.id = v.id AND d.fence = v.fence
      JOIN delivery_chat c ON c.id = d.chat_id
     CROSS JOIN t
     WHERE d.status = (SELECT 'leased') AND d.lease_until > t.real)"""

_WIRE = {
    "walled": "starts_with(d.stream, 'stream:dry:')",  # never sent, whoever opens its gate
    "gate": "g.scope = 'bot' OR (g.key = d.stream AND d.lane = 1)",
    "unasked": "d.lane = 0 OR d.is_test",
    "told": "NOT o.is_test AND o.status IN ('sent', 'unknown')",
    "told_at": "coalesce(o.sent_at, o.intent_at)",
}
# A dry run is asked what a real message is, by the gate of the real stream; what it would have
# said before counts for its cap. Gates of the bot are about the wire.
_DRY = {
    "walled": "false",
    "gate": "g.key = replace(d.stream, 'stream:dry:', 'stream:')",
    "unasked": "false",
    "told": """(NOT o.is_test AND o.status IN ('sent', 'unknown')
                OR o.stream = d.stream AND o.reason = 'dry_run')""",
    "told_at": "coalesce(o.sent_at, o.intent_at, o.settled_at)",
}
LOOK_DRY = f"WITH {_LOOKED.format(**_DRY)} SELECT * FROM q"

_INTENDED = f"""{_LOOKED.format(**_WIRE)},
go AS (
    UPDATE nurture_deliveries d
       SET status = 'sending', intent_at = clock_timestamp(), attempts = d.attempts + 1,
           lease_until = clock_timestamp() + %(lease)s
      FROM q
     WHERE q.verdict = 'go' AND d.id = q.id AND d.fence = q.fence
       AND d.status = (SELECT 'leased')
    RETURNING d.id, d.fence, d.attempts),
written AS (
    INSERT INTO delivery_attempt (delivery_id, fence, started_at, outcome, description)
    SELECT go.id, go.fence, clock_timestamp(), '', '' FROM go)"""

RECORD = f"WITH {_RECORDED} SELECT id, status AS recorded FROM done"
INTEND = f"WITH {_INTENDED} SELECT q.*, go.attempts FROM q LEFT JOIN go ON go.id = q.id"
# One commit writes what came of some calls and the intents of the next. Neither sees the other's
# rows, and need not: a claim takes nothing of a chat that has something in flight.
RECORD_AND_INTEND = f"""
WITH {_RECORDED}, {_INTENDED}
SELECT q.*, go.attempts, done.status AS recorded
  FROM q LEFT JOIN go ON go.id = q.id FULL JOIN done ON done.id = q.id
"""
FEW, MANY = 20, 10_000


def commit(
    *, results: Sequence[Values], intents: Sequence[Values], lease: timedelta
) -> tuple[str, Values]:
    """The statement that writes `results` (rows.written) and commits `intents` (id, fence)."""
    sql = RECORD_AND_INTEND if results and intents else RECORD if results else INTEND
    most = FEW if len(results) <= FEW and len(intents) <= FEW else MANY
    if max(len(results), len(intents)) > most:
        raise ValueError(f"at most {most} tries in one statement")
    values = {"results": json.dumps(results), "intents": json.dumps(intents), "lease": lease}
    return sql.format(most=most), values


END_LEASED = """
UPDATE nurture_deliveries d
   SET status = e.status, reason = e.reason, settled_at = telbot_now(),
       lease_until = NULL, leased_by = '', slot_at = NULL
  FROM unnest(%(ids)s::bigint[], %(fences)s::int[], %(statuses)s::text[], %(reasons)s::text[])
       AS e(id, fence, status, reason)
 WHERE d.id = e.id AND d.fence = e.fence AND d.status = (SELECT 'leased')
RETURNING d.status
"""

# Nothing was written: back into the queue, at `at` or as it was.
RELEASE_LEASED = """
UPDATE nurture_deliveries d
   SET status = 'pending', run_at = coalesce(r.at, d.run_at),
       lease_until = NULL, leased_by = '', slot_at = NULL
  FROM unnest(%(ids)s::bigint[], %(fences)s::int[], %(ats)s::timestamptz[]) AS r(id, fence, at)
 WHERE d.id = r.id AND d.fence = r.fence AND d.status = (SELECT 'leased')
"""

# A worker holds an advisory lock on its own connection while it works. Where that lock is gone the
# worker is dead, wherever it ran; a stopped one keeps it and is caught by its lease. Taking over is
# safe even if it lives: it cannot pass the intent with an old fence, and what is on the wire is
# only called unknown, which its late answer repairs.
ADVISORY_CLASS = 7_415_003
_DEAD = f"""
    (d.lease_until < clock_timestamp() OR NOT EXISTS (
        SELECT FROM pg_locks l
         WHERE l.locktype = 'advisory' AND l.classid = {ADVISORY_CLASS}
           AND l.objid::bigint = nullif(d.leased_by, '')::bigint AND l.granted
           AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())))
"""

RESCUE_LEASED = f"""
UPDATE nurture_deliveries d
   SET status = CASE WHEN d.deaths + 1 >= %(most)s THEN 'dead' ELSE 'pending' END,
       reason = CASE WHEN d.deaths + 1 >= %(most)s THEN 'poison' ELSE '' END,
       settled_at = CASE WHEN d.deaths + 1 >= %(most)s THEN telbot_now() END,
       deaths = d.deaths + 1, fence = d.fence + 1,
       lease_until = NULL, leased_by = '', slot_at = NULL
 WHERE d.status = 'leased' AND {_DEAD}
RETURNING d.status
"""

RESCUE_SENDING = f"""
WITH d AS (
    UPDATE nurture_deliveries d
       SET status = 'unknown', reason = 'worker_died', deaths = d.deaths + 1,
           lease_until = NULL, leased_by = '', slot_at = NULL
     WHERE d.status = 'sending' AND {_DEAD}
    RETURNING d.id, d.fence)
UPDATE delivery_attempt a
   SET finished_at = clock_timestamp(), outcome = 'unknown', description = 'the worker died'
  FROM d WHERE a.delivery_id = d.id AND a.fence = d.fence AND a.outcome = ''
RETURNING 'unknown' AS status
"""

# Slots lie a few seconds ahead. Where the next one is far away the database's clock was put back,
# and without this nothing would go out until it had caught up. Returned: how far it had got.
CLOCK_WENT_BACK = """
WITH ahead AS (
    SELECT key, next_slot_at AS was FROM delivery_gate
     WHERE key IN ('bot', 'bot:reply') AND rate > 0
       AND next_slot_at > greatest(closed_until, clock_timestamp())
                          + greatest(interval '1 minute', interval '100 s' / rate)
     ORDER BY key FOR NO KEY UPDATE)
UPDATE delivery_gate g SET next_slot_at = clock_timestamp()
  FROM ahead WHERE g.key = ahead.key
RETURNING ahead.was
"""

# What was put off by the old time is looked at now; a snooze or a window puts it off again.
LOOK_AGAIN = """
UPDATE nurture_deliveries SET run_at = due_at
 WHERE status = 'pending' AND due_at <= (SELECT telbot_now())
   AND run_at > (SELECT telbot_now()) AND run_at < %(was)s + interval '1 minute'
"""

# After its quarantine an unknown counts as settled: the journey goes on.
SETTLE_UNKNOWN = """
UPDATE nurture_deliveries SET settled_at = telbot_now()
 WHERE status = 'unknown' AND settled_at IS NULL
   AND intent_at < clock_timestamp() - %(quarantine)s
"""

EXPIRE = """
UPDATE nurture_deliveries SET status = 'expired', reason = 'expired', settled_at = telbot_now()
 WHERE id IN (
    SELECT id FROM nurture_deliveries
     WHERE status = 'pending' AND expires_at <= (SELECT telbot_now())
     ORDER BY expires_at LIMIT 500 FOR UPDATE SKIP LOCKED)
RETURNING status
"""

# The soonest moment at which a delivery that is due by plan may be claimed: put off by pacing, or
# held by a 429. What staff or a broken token hold back comes at no moment, and a retry is not
# waited for: it has been tried.
SOONEST = """
SELECT greatest(
        min(x.run_at) - telbot_now(),
        (SELECT closed_until - clock_timestamp() FROM delivery_gate WHERE key = 'bot'))
  FROM delivery_gate s
 CROSS JOIN LATERAL (
    SELECT q.run_at FROM nurture_deliveries q
     WHERE q.stream = s.key AND q.status = 'pending' AND q.attempts = 0
       AND q.due_at <= (SELECT telbot_now())
     ORDER BY q.run_at LIMIT 1) x
 WHERE s.scope = 'stream' AND s.closed_until <= (SELECT clock_timestamp())
   AND NOT EXISTS (SELECT FROM delivery_gate b
                    WHERE b.scope = 'bot' AND b.key <> 'bot'
                      AND b.closed_until > (SELECT clock_timestamp()))
HAVING count(*) > 0
"""

CLOCK = "SELECT clock_timestamp()"
SIMULATE = "SELECT set_config('telbot.now', %(at)s, false)"
# Shared: a connection that died without a word still has it when the worker comes back by another.
HELLO = f"SELECT pg_advisory_lock_shared({ADVISORY_CLASS}, %(me)s)"
