"""Rows of the attendance app, by concept."""

from __future__ import annotations

from attendance.models.courses import AttendancePolicy, Course, Enrolment
from attendance.models.learners import ErasedMark, Learner, LearnerIdentity, Outsider
from attendance.models.outcomes import AttendanceEvent, AuditPair, Outcome, Pledge, ReviewItem
from attendance.models.records import Activity, Conference, ConferenceMatch, Endpoint, SyncRun
from attendance.models.sessions import ClassSession

__all__ = [
    "Activity",
    "AttendanceEvent",
    "AttendancePolicy",
    "AuditPair",
    "ClassSession",
    "Conference",
    "ConferenceMatch",
    "Course",
    "Endpoint",
    "Enrolment",
    "ErasedMark",
    "Learner",
    "LearnerIdentity",
    "Outcome",
    "Outsider",
    "Pledge",
    "ReviewItem",
    "SyncRun",
]
