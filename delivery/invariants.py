"""What must be true of the queue at every moment, as SQL that finds what is not.

`audit` runs these, in tests after every fault. Constraints and triggers hold what one row can say;
this is what takes several rows, or the time of day. A death is noticed within seconds, so what is
five minutes old is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

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
}
