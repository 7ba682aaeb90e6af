"""What must be true of attendance at every moment, as SQL that finds what is not."""

from __future__ import annotations

from collections.abc import Mapping

#: Name → what is wrong with outcomes, the model of the rows that are named, and what finds them.
INVARIANTS: Mapping[str, tuple[str, str, str]] = {
    "absence_not_taken_back": (
        "Somebody was called absent, was found to have been there, and no correction went out.",
        "attendance.outcome",
        """
        SELECT o.id FROM attendance_outcome o
          JOIN attendance_attendanceevent m
            ON m.learner_id = o.learner_id AND m.session_id = o.session_id AND m.kind = 'missed'
         WHERE o.is_current AND o.effective AND o.outcome <> 'missed'
           AND NOT EXISTS (
            SELECT FROM attendance_attendanceevent c
             WHERE c.learner_id = o.learner_id AND c.session_id = o.session_id
               AND c.kind = 'corrected' AND c.recorded_at >= m.recorded_at)""",
    ),
    "fact_without_outcome": (
        "An absence was made known that no effective outcome ever said.",
        "attendance.attendanceevent",
        """
        SELECT m.id FROM attendance_attendanceevent m
         WHERE m.kind IN ('missed', 'missed_pledged') AND NOT EXISTS (
            SELECT FROM attendance_outcome o
             WHERE o.learner_id = m.learner_id AND o.session_id = m.session_id
               AND o.outcome = 'missed' AND o.effective_at IS NOT NULL)""",
    ),
    "absence_called_too_soon": (
        "Somebody was called absent before the class had its time to settle.",
        "attendance.outcome",
        """
        SELECT o.id FROM attendance_classsession s
          JOIN attendance_outcome o ON o.session_id = s.id
          JOIN attendance_attendancepolicy p ON p.id = o.policy_id
         WHERE s.starts_at > (SELECT telbot_now()) - interval '10 days'
           AND o.is_current AND o.effective AND o.outcome = 'missed' AND o.origin = 'engine'
           AND o.effective_at < s.ends_at + p.settle_missed_seconds * interval '1 second'""",
    ),
}
