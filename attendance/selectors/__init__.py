"""What others may ask of attendance."""

from __future__ import annotations

from attendance.selectors.evidence import Evidence, evidence
from attendance.selectors.history import (
    explain_outcome,
    facts_since,
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
    "evidence",
    "explain_outcome",
    "facts_since",
    "has_due_sessions",
    "has_pledged",
    "has_unprocessed_events",
    "last_outcomes",
    "next_session",
    "outcomes",
    "streak",
    "sync_is_due",
]
