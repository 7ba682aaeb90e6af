"""What must be true of journeys at every moment, as SQL that finds what is not."""

from __future__ import annotations

from collections.abc import Mapping

#: Name → what is wrong with journeys, the model of the rows that are named, and what finds them.
INVARIANTS: Mapping[str, tuple[str, str, str]] = {
    "owes_after_its_end": (
        "A journey is over, and a message of it is still owed.",
        "nurture.journey",
        """
        SELECT j.id FROM user_nurture_journeys j
          JOIN nurture_deliveries d ON d.id = j.waiting_on_id
         WHERE j.status IN ('completed', 'exited') AND d.status = 'pending'""",
    ),
    "step_said_twice": (
        "One step of a journey went out more than once.",
        "nurture.journey",
        """
        SELECT split_part(dedupe_key, ':', 2)::bigint FROM nurture_deliveries
         WHERE dedupe_key LIKE 'journey:%' AND status IN ('sent', 'unknown')
         GROUP BY split_part(dedupe_key, ':', 2), split_part(dedupe_key, ':', 3)
        HAVING count(*) > 1""",
    ),
    "owes_two_steps": (
        "A journey owes two messages at once.",
        "nurture.journey",
        """
        SELECT split_part(dedupe_key, ':', 2)::bigint FROM nurture_deliveries
         WHERE dedupe_key LIKE 'journey:%' AND status IN ('pending', 'leased', 'sending')
         GROUP BY split_part(dedupe_key, ':', 2) HAVING count(*) > 1""",
    ),
    "waits_on_what_was_seen": (
        "A journey waits on a message whose end was taken note of.",
        "nurture.journey",
        """
        SELECT j.id FROM user_nurture_journeys j
          JOIN nurture_deliveries d ON d.id = j.waiting_on_id
         WHERE j.status = 'active' AND d.observed_at IS NOT NULL""",
    ),
    "asked_twice": (
        "A learner was asked more than once whether they come to a class.",
        "attendance.learner",
        """
        SELECT split_part(dedupe_key, ':', 2)::bigint FROM nurture_deliveries
         WHERE dedupe_key LIKE 'pledge:%' AND status IN ('sent', 'unknown')
         GROUP BY split_part(dedupe_key, ':', 2), split_part(dedupe_key, ':', 3)
        HAVING count(*) > 1""",
    ),
    "decided_without_a_word": (
        "A journey has no decision that says why it began.",
        "nurture.journey",
        """
        SELECT j.id FROM user_nurture_journeys j
         WHERE NOT EXISTS (SELECT FROM nurture_decision k WHERE k.journey_id = j.id)""",
    ),
}
