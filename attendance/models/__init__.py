"""Rows of the attendance app, by concept."""

from __future__ import annotations

from attendance.models.courses import AttendancePolicy, Course, Enrolment
from attendance.models.learners import Learner, LearnerIdentity
from attendance.models.outcomes import AttendanceEvent, Outcome, Pledge, ReviewItem
from attendance.models.records import Activity, Conference, ConferenceMatch, Endpoint, SyncRun
from attendance.models.sessions import ClassSession

__all__ = [
    "Activity",
    "AttendanceEvent",
    "AttendancePolicy",
    "ClassSession",
    "Conference",
    "ConferenceMatch",
    "Course",
    "Endpoint",
    "Enrolment",
    "Learner",
    "LearnerIdentity",
    "Outcome",
    "Pledge",
    "ReviewItem",
    "SyncRun",
]
