"""What others may ask of attendance."""

from __future__ import annotations

from attendance.selectors.evidence import Evidence, evidence
from attendance.selectors.explain import OutcomeExplanation, explain_outcome
from attendance.selectors.history import (
    calendar_ids,
    facts_since,
    find_session,
    has_due_sessions,
    has_pledged,
    has_unprocessed_events,
    last_outcomes,
    next_session,
    outcomes,
    streak,
    sync_is_due,
)

__all__ = [
    "Evidence",
    "OutcomeExplanation",
    "calendar_ids",
    "evidence",
    "explain_outcome",
    "facts_since",
    "find_session",
    "has_due_sessions",
    "has_pledged",
    "has_unprocessed_events",
    "last_outcomes",
    "next_session",
    "outcomes",
    "streak",
    "sync_is_due",
]
