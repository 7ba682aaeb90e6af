"""What others may ask of attendance."""

from __future__ import annotations

from attendance.selectors.evidence import Evidence, evidence
from attendance.selectors.explain import OutcomeExplanation, explain_outcome
from attendance.selectors.history import (
    Asked,
    RecordedFact,
    calendar_ids,
    facts_since,
    find_session,
    has_due_sessions,
    newest_class,
    next_session,
    next_sessions,
    outcomes,
    pledged,
    streak,
    streaks_of,
    sync_is_due,
    upcoming,
)

__all__ = [
    "Asked",
    "Evidence",
    "OutcomeExplanation",
    "RecordedFact",
    "calendar_ids",
    "evidence",
    "explain_outcome",
    "facts_since",
    "find_session",
    "has_due_sessions",
    "newest_class",
    "next_session",
    "next_sessions",
    "outcomes",
    "pledged",
    "streak",
    "streaks_of",
    "sync_is_due",
    "upcoming",
]
