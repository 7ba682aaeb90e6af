"""What must be true of the queue at every moment, as SQL that finds what is not.

`audit` runs these, in tests after every fault. Constraints and triggers hold what one row can say;
this is what takes several rows, or the time of day. A death is noticed within seconds, so what is
five minutes old is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

# What a night can miss is found by the next ones; further back nothing changes any more.
OF_LATE = """d.settled_at > (SELECT telbot_now()) - interval '8 days'
           AND d.settled_at IS NOT NULL AND NOT d.is_test"""
SAID = "d.status = 'sent' AND d.lane = 1"
# From the last look to the recorded answer.
ON_ITS_WAY = "interval '2 minutes'"
FORGOTTEN = "interval '10 minutes'"
WORKER_LIVES = """EXISTS (
            SELECT FROM delivery_heartbeat h
             WHERE h.name = 'worker' AND h.hour > (SELECT clock_timestamp()) - interval '2 hours'
               AND h.seen_at > (SELECT clock_timestamp()) - interval '2 minutes')"""

#: Name → what is wrong with deliveries, the model of the rows that are named, and what finds them.
INVARIANTS: Mapping[str, tuple[str, str, str]] = {
    "sending_without_try": (
        "A delivery is on the wire, and no try was written down before.",
        "delivery.delivery",
        """
        SELECT d.id FROM nurture_deliveries d
         WHERE d.status = 'sending' AND NOT EXISTS (
            SELECT FROM delivery_attempt a
             WHERE a.delivery_id = d.id AND a.fence = d.fence AND a.outcome = '')""",
    ),
    "open_try_not_sending": (
        "A try is open, and its delivery is not on the wire.",
        "delivery.delivery",
        """
        SELECT d.id FROM delivery_attempt a JOIN nurture_deliveries d ON d.id = a.delivery_id
         WHERE a.outcome = '' AND (d.status <> 'sending' OR d.fence <> a.fence)""",
    ),
    "try_ahead_of_fence": (
        "A try has a later fence than its delivery.",
        "delivery.delivery",
        """
        SELECT d.id FROM delivery_attempt a JOIN nurture_deliveries d ON d.id = a.delivery_id
         WHERE a.fence > d.fence""",
    ),
    "accepted_twice": (
        "Telegram accepted more than one try of a delivery.",
        "delivery.delivery",
        """
        SELECT delivery_id FROM delivery_attempt WHERE outcome = 'sent'
         GROUP BY delivery_id HAVING count(*) > 1""",
    ),
    "sent_without_proof": (
        "A delivery counts as sent, and neither an answer nor evidence says so.",
        "delivery.delivery",
        """
        SELECT d.id FROM nurture_deliveries d
         WHERE d.status = 'sent' AND NOT d.diverted AND d.message_id IS NULL AND NOT EXISTS (
            SELECT FROM delivery_attempt a
             WHERE a.delivery_id = d.id AND a.outcome IN ('sent', 'unknown'))""",
    ),
    "accepted_and_owed": (
        "Telegram accepted a delivery that is still owed.",
        "delivery.delivery",
        """
        SELECT d.id FROM nurture_deliveries d
         WHERE d.status IN ('pending', 'leased', 'sending') AND EXISTS (
            SELECT FROM delivery_attempt a
             WHERE a.delivery_id = d.id AND a.fence = d.fence AND a.outcome = 'sent')""",
    ),
    "chat_served_twice": (
        "Two deliveries of one chat are in flight.",
        "delivery.delivery",
        """
        SELECT max(id) FROM nurture_deliveries WHERE status IN ('leased', 'sending')
         GROUP BY chat_id HAVING count(*) > 1""",
    ),
    "lease_forgotten": (
        "A worker's lease ended minutes ago, and nobody took over.",
        "delivery.delivery",
        """
        SELECT id FROM nurture_deliveries
         WHERE status IN ('leased', 'sending')
           AND lease_until < clock_timestamp() - interval '5 minutes'""",
    ),
    "unknown_never_settled": (
        "An unknown delivery's quarantine is over, and its journey still waits.",
        "delivery.delivery",
        """
        SELECT id FROM nurture_deliveries
         WHERE status = 'unknown' AND settled_at IS NULL
           AND intent_at < clock_timestamp() - interval '15 minutes' - interval '5 minutes'""",
    ),
    "expired_and_owed": (
        "A delivery has expired, and is still owed.",
        "delivery.delivery",
        """
        SELECT id FROM nurture_deliveries
         WHERE status = 'pending' AND expires_at < (SELECT telbot_now()) - interval '5 minutes'""",
    ),
    "accepted_and_ended_otherwise": (
        "Telegram accepted a delivery, and it counts as not sent.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
         WHERE {OF_LATE} AND d.status IN ('failed', 'expired', 'cancelled', 'skipped', 'dead')
           AND EXISTS (
            SELECT FROM delivery_attempt a WHERE a.delivery_id = d.id AND a.outcome = 'sent')""",
    ),
    "sent_outside_its_hours": (
        "A message went out outside its window, or in quiet hours.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
         WHERE {OF_LATE} AND {SAID} AND d.window_opens IS NOT NULL
           AND NOT telbot_window_open(
                d.sent_at, d.window_opens, d.window_closes, d.window_days::int, d.window_zone)
           AND NOT telbot_window_open(
                d.sent_at - {ON_ITS_WAY}, d.window_opens, d.window_closes, d.window_days::int,
                d.window_zone)""",
    ),
    "sent_without_consent": (
        "A message went out after its chat had taken back its consent, or without any.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
          LEFT JOIN LATERAL (
            SELECT k.granted, k.changed_at FROM delivery_consent k
             WHERE k.chat_id = d.chat_id AND k.category IN (d.category, '')
             ORDER BY k.category DESC LIMIT 1) k ON true
         WHERE {OF_LATE} AND {SAID}
           AND (k.granted IS NULL
                OR (NOT k.granted AND k.changed_at < d.sent_at - {ON_ITS_WAY}))""",
    ),
    "sent_to_who_is_gone": (
        "A message counts as sent to a chat that could not be reached by then.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d JOIN delivery_chat c ON c.id = d.chat_id
         WHERE {OF_LATE} AND {SAID} AND c.reachability <> 'ok'
           AND c.reachability_changed_at < d.sent_at - {ON_ITS_WAY}""",
    ),
    "sent_when_of_no_use": (
        "A message went out after it had expired.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
         WHERE {OF_LATE} AND {SAID} AND d.sent_at - {ON_ITS_WAY} > d.expires_at""",
    ),
    "more_than_its_cap": (
        "A chat got more messages within 24 hours than the last of them allowed.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
         WHERE {OF_LATE} AND {SAID} AND d.cap_per_day IS NOT NULL
           AND d.cap_per_day < (
            SELECT count(*) FROM nurture_deliveries o
             WHERE o.chat_id = d.chat_id AND o.sent_at > d.sent_at - interval '24 hours'
               AND o.sent_at <= d.sent_at AND o.status = 'sent' AND o.lane = 1
               AND NOT o.is_test)""",
    ),
    "pretended_and_sent": (
        "A message of a dry run went out.",
        "delivery.delivery",
        """
        SELECT d.id FROM nurture_deliveries d
         WHERE (d.is_test OR d.diverted) AND starts_with(d.stream, 'stream:dry:')
           AND d.status IN ('sending', 'sent', 'unknown')""",
    ),
    "due_and_left_lying": (
        "A message is due, nothing holds it back, a worker is alive, and nobody takes it.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM delivery_gate s
         CROSS JOIN LATERAL (
            SELECT q.id, q.chat_id, q.due_at FROM nurture_deliveries q
             WHERE q.stream = s.key AND q.status = 'pending' AND q.lane = 1
               AND q.due_at < (SELECT telbot_now()) - {FORGOTTEN}
               AND q.run_at < (SELECT telbot_now()) - {FORGOTTEN}
             ORDER BY q.due_at, q.run_at, q.id LIMIT 100) d
         WHERE s.scope = 'stream' AND NOT starts_with(s.key, 'stream:dry:')
           AND s.closed_until < (SELECT clock_timestamp()) - {FORGOTTEN}
           AND s.updated_at < (SELECT clock_timestamp()) - {FORGOTTEN}
           AND {WORKER_LIVES}
           AND NOT EXISTS (
            SELECT FROM delivery_gate b
             WHERE b.scope = 'bot' AND (b.closed_until > (SELECT clock_timestamp()) - {FORGOTTEN}
                OR b.next_slot_at > (SELECT clock_timestamp()) - interval '1 minute'))
           AND NOT EXISTS (
            SELECT FROM nurture_deliveries w
             WHERE w.chat_id = d.chat_id AND w.status IN ('pending', 'leased', 'sending')
               AND (w.due_at, w.id) < (d.due_at, d.id))""",
    ),
    "heard_and_not_answered": (
        "A learner wrote an hour ago, and nobody took it up.",
        "delivery.inboundupdate",
        """
        SELECT id FROM delivery_inboundupdate
         WHERE handled_at IS NULL AND received_at < (SELECT telbot_now()) - interval '1 hour'""",
    ),
    "left_and_still_known": (
        "Somebody had their data erased, and the chat's id is still there.",
        "delivery.chat",
        """
        SELECT id FROM delivery_chat
         WHERE leaving_at < (SELECT telbot_now()) - interval '2 hours'""",
    ),
}

#: Those that say: by now somebody should have. In a copy in which nothing runs they say nothing.
BY_NOW = frozenset({"lease_forgotten", "unknown_never_settled", "expired_and_owed"})
