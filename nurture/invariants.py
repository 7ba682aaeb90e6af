"""What must be true of journeys at every moment, as SQL that finds what is not."""

from __future__ import annotations

from collections.abc import Mapping

from delivery.invariants import OF_LATE, ON_ITS_WAY, WORKER_LIVES

# What journeys said of a fact: planned, and gone out as far as anybody knows.
TOLD = """nurture_deliveries d
          JOIN nurture_decision k ON k.delivery_id = d.id AND k.code = 'step_planned'
          JOIN user_nurture_journeys j ON j.id = k.journey_id
          JOIN attendance_attendanceevent e
            ON e.id = j.cause_id AND d.status IN ('sent', 'unknown')"""
AT = "coalesce(d.sent_at, d.intent_at)"
IS_ON = """EXISTS (
            SELECT FROM waffle_flag f
             WHERE f.name = 'nurture' AND coalesce(f.everyone, coalesce(f.percent, 0) > 0))"""

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
         WHERE j.started_at > (SELECT telbot_now()) - interval '390 days'
           AND NOT EXISTS (SELECT FROM nurture_decision k WHERE k.journey_id = j.id)""",
    ),
    "said_of_what_was_open": (
        "A message went out about a class whose outcome was not settled.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM {TOLD}
          JOIN attendance_outcome o ON o.id = e.outcome_id
         WHERE {OF_LATE}
           AND (o.effective_at IS NULL OR o.effective_at > {AT} + {ON_ITS_WAY})""",
    ),
    "said_after_the_correction": (
        "A message went out after what caused it had been corrected.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM {TOLD}
         WHERE {OF_LATE} AND EXISTS (
            SELECT FROM attendance_attendanceevent c
             WHERE c.learner_id = e.learner_id AND c.session_id = e.session_id
               AND c.kind = 'corrected' AND c.recorded_at > e.recorded_at
               AND c.recorded_at < {AT} - {ON_ITS_WAY})""",
    ),
    "class_spoken_of_twice": (
        "One step of a sequence went out twice to a learner about one class.",
        "delivery.delivery",
        f"""
        SELECT max(d.id) FROM {TOLD}
         WHERE {OF_LATE} AND j.entry_key LIKE 'session:%'
         GROUP BY j.learner_id, j.sequence_id, j.entry_key, k.step_key
        HAVING count(DISTINCT d.id) > 1""",
    ),
    "held_out_and_told": (
        "Somebody who is left alone, to compare, got a message all the same.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM {TOLD}
          JOIN nurture_holdoutassignment h
            ON h.sequence_id = j.sequence_id AND h.learner_id = j.learner_id
         WHERE {OF_LATE} AND h.held_out AND h.assigned_at < j.started_at""",
    ),
    "stuck": (
        "The time of a journey has come an hour ago, and nobody took it on.",
        "nurture.journey",
        f"""
        SELECT j.id FROM user_nurture_journeys j
         WHERE j.status = 'active'
           AND j.next_action_at < (SELECT telbot_now()) - interval '1 hour'
           AND {WORKER_LIVES} AND {IS_ON}""",
    ),
    "end_not_taken_note_of": (
        "A message came to its end an hour ago, and its journey was not told.",
        "delivery.delivery",
        f"""
        SELECT d.id FROM nurture_deliveries d
         WHERE d.settled_at < (SELECT telbot_now()) - interval '1 hour'
           AND d.settled_at IS NOT NULL AND d.observed_at IS NULL
           AND {WORKER_LIVES} AND {IS_ON}""",
    ),
    "fact_left_lying": (
        "A fact was written an hour ago, and no sequence has looked at it.",
        "attendance.attendanceevent",
        f"""
        SELECT e.id FROM attendance_attendanceevent e
         WHERE e.processed_at IS NULL
           AND e.recorded_at < (SELECT telbot_now()) - interval '1 hour' AND {WORKER_LIVES}""",
    ),
    "timer_of_nobody": (
        "A journey is over or held, and a timer of it runs on.",
        "nurture.journey",
        """
        SELECT id FROM user_nurture_journeys
         WHERE status <> 'active' AND next_action_at IS NOT NULL""",
    ),
    "stands_at_no_step": (
        "A journey stands at a step that its version does not have.",
        "nurture.journey",
        """
        SELECT j.id FROM user_nurture_journeys j
         WHERE j.status IN ('active', 'paused') AND j.step_key <> '' AND NOT EXISTS (
            SELECT FROM nurture_messages s
             WHERE s.version_id = j.version_id AND s.key = j.step_key)""",
    ),
    "waits_on_a_strangers": (
        "A journey waits on a message that is none of its own.",
        "nurture.journey",
        """
        SELECT j.id FROM user_nurture_journeys j
          JOIN nurture_deliveries d ON d.id = j.waiting_on_id
         WHERE NOT starts_with(d.dedupe_key, 'journey:' || j.id || ':')""",
    ),
    "erased_and_still_linked": (
        "A learner was erased, and still has a chat.",
        "attendance.learner",
        """
        SELECT l.id FROM attendance_learner l JOIN nurture_contact c ON c.learner_id = l.id
         WHERE l.erased_at IS NOT NULL AND c.chat_id IS NOT NULL""",
    ),
}
