"""The console over who was there. What the engine owns is read here, not edited."""

from __future__ import annotations

from attendance.admin import audit, classes, learners, outcomes, readings, records, review
from attendance.admin.learners import LearnerAdmin

__all__ = [
    "LearnerAdmin",
    "audit",
    "classes",
    "learners",
    "outcomes",
    "readings",
    "records",
    "review",
]
