"""What others may ask of attendance."""

from __future__ import annotations

from attendance.selectors.class_figures import Figures, class_figures
from attendance.selectors.class_page import ClassPage, Person, Stranger, class_page
from attendance.selectors.evidence import Device, Evidence, evidence
from attendance.selectors.explain import OutcomeExplanation, explain_outcome
from attendance.selectors.history import (
    Asked,
    RecordedFact,
    asks_from,
    calendar_ids,
    facts_since,
    find_session,
    has_due_sessions,
    is_expected,
    newest_class,
    next_session,
    next_sessions,
    outcomes,
    pledge_states,
    pledged,
    sessions_ahead,
    streak,
    streaks_of,
    sync_is_due,
    upcoming,
)
from attendance.selectors.people import named
from attendance.selectors.stored import stored_about

__all__ = [
    "Asked",
    "ClassPage",
    "Device",
    "Evidence",
    "Figures",
    "OutcomeExplanation",
    "Person",
    "RecordedFact",
    "Stranger",
    "asks_from",
    "calendar_ids",
    "class_figures",
    "class_page",
    "evidence",
    "explain_outcome",
    "facts_since",
    "find_session",
    "has_due_sessions",
    "is_expected",
    "named",
    "newest_class",
    "next_session",
    "next_sessions",
    "outcomes",
    "pledge_states",
    "pledged",
    "sessions_ahead",
    "stored_about",
    "streak",
    "streaks_of",
    "sync_is_due",
    "upcoming",
]
