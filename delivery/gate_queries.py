"""Every statement by which a sender closes and opens gates, and says what chats have become.

As in queries.py, gates go by clock_timestamp() and what concerns a learner's life by telbot_now().
"""

from __future__ import annotations

# 429: everybody waits. One lowering of the rate per closing, of the rate as it is here; the arrival
# time moves along, so the first message afterwards has a slot of its own. Who closed it until it is
# opened stays named.
HOLD_BOT = """
UPDATE delivery_gate
   SET rate = CASE WHEN closed_until > clock_timestamp() THEN rate
                   ELSE least(rate, greatest(rate * %(slower)s, %(slowest)s)) END,
       rate_changed_at = clock_timestamp(),
       closed_until = greatest(closed_until, clock_timestamp() + %(wait)s),
       next_slot_at = greatest(next_slot_at, clock_timestamp() + %(wait)s),
       reason = CASE WHEN closed_until < '2999-01-01Z' THEN '429' ELSE reason END,
       closed_by = CASE WHEN closed_until < '2999-01-01Z' THEN 'telegram' ELSE closed_by END,
       updated_at = clock_timestamp()
 WHERE key = 'bot'
"""

# A quiet minute raises the rate again by one a second.
RECOVER_RATE = """
UPDATE delivery_gate
   SET rate = least(%(configured)s, rate + 1), rate_changed_at = clock_timestamp(), reason = ''
 WHERE key = 'bot' AND rate < %(configured)s
   AND rate_changed_at < clock_timestamp() - interval '1 minute'
   AND closed_until < clock_timestamp()
"""

SHUT = """
INSERT INTO delivery_gate AS g (key, scope, closed_until, reason, closed_by, next_slot_at, rate,
                                rate_changed_at, updated_at)
VALUES (%(key)s, 'bot', coalesce(clock_timestamp() + %(wait)s, '2999-01-01Z'), %(reason)s, %(by)s,
        '2000-01-01Z', 0, '2000-01-01Z', clock_timestamp())
ON CONFLICT (key) DO UPDATE
   SET closed_until = greatest(g.closed_until, excluded.closed_until), reason = excluded.reason,
       closed_by = excluded.closed_by, updated_at = clock_timestamp()
"""

OPEN = """
UPDATE delivery_gate SET closed_until = '2000-01-01Z', reason = '', updated_at = clock_timestamp()
 WHERE key = %(key)s
"""

# A sequence whose words Telegram refuses, or of whose last tries too many failed, is held until a
# person has looked; what it owes waits. Tries from before somebody opened it again do not count.
# Of a delivery only its last one does: however often it was tried, it failed once. One row comes
# back where this very statement closed it, so that it is told once.
HOLD_STREAM = """
WITH s AS (
    SELECT g.key, g.updated_at FROM nurture_deliveries d JOIN delivery_gate g ON g.key = d.stream
     WHERE d.id = %(id)s AND NOT d.is_test AND g.key <> 'stream:'
       AND g.closed_until <= clock_timestamp()),
last AS (
    SELECT d.status FROM s
     CROSS JOIN (SELECT a.id, a.delivery_id, a.fence, a.started_at FROM delivery_attempt a
                  WHERE a.outcome NOT IN ('', 'not_sent') ORDER BY a.id DESC LIMIT 5000) a
      JOIN nurture_deliveries d ON d.id = a.delivery_id AND d.fence = a.fence
     WHERE d.stream = s.key AND NOT d.is_test AND a.started_at > s.updated_at
     ORDER BY a.id DESC LIMIT %(window)s),
n AS (SELECT count(*) FILTER (WHERE status = 'failed') AS failed, count(*) AS seen FROM last)
UPDATE delivery_gate g
   SET closed_until = '2999-01-01Z', closed_by = 'sender', updated_at = clock_timestamp(),
       reason = CASE WHEN %(refused)s THEN 'Telegram refuses its words: ' || left(%(said)s, 150)
                     ELSE n.failed || ' of its last ' || n.seen || ' messages failed' END
  FROM s, n WHERE g.key = s.key AND (%(refused)s OR n.failed >= %(most)s)
RETURNING g.key, g.reason
"""

MAY_PROBE = """
SELECT EXISTS (SELECT FROM delivery_gate
                WHERE key = %(key)s AND closed_by = 'sender' AND closed_until > clock_timestamp()
                  AND updated_at < clock_timestamp() - %(wait)s)
"""

# A refusal says nothing of a chat that has let the bot in since the call began.
SET_REACHABILITY = """
UPDATE delivery_chat c SET reachability = %(reachability)s, reachability_changed_at = telbot_now()
 WHERE c.id = %(chat)s AND c.reachability <> %(reachability)s
   AND NOT EXISTS (
    SELECT FROM delivery_attempt a
     WHERE a.delivery_id = %(id)s AND a.fence = %(fence)s AND c.reachability = 'ok'
       AND c.reachability_changed_at > telbot_now() - (clock_timestamp() - a.started_at))
"""

CANCEL_CHAT = """
UPDATE nurture_deliveries
   SET status = 'cancelled', reason = %(reason)s, fence = fence + 1, settled_at = telbot_now(),
       lease_until = NULL, leased_by = '', slot_at = NULL
 WHERE chat_id = %(chat)s AND status IN ('pending', 'leased')
   AND EXISTS (SELECT FROM delivery_chat c
                WHERE c.id = %(chat)s AND c.reachability = %(reachability)s)
"""

MIGRATE_CHAT = """
UPDATE delivery_chat c SET telegram_id = %(new)s, telegram_key = %(key)s, kind = 'group'
 WHERE c.id = %(chat)s
   AND NOT EXISTS (SELECT FROM delivery_chat o WHERE o.telegram_key = %(key)s)
"""
