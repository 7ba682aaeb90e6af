"""The text variables of one learner and one class: a closed list, plain words and numbers."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from attendance.models import AttendanceEvent, ClassSession, Learner
from nurture import texts


def variables(
    *,
    learner: Learner,
    session: ClassSession | None,
    cause: AttendanceEvent | None,
    next_session: ClassSession | None,
    zone: ZoneInfo,
    language: str,
    bot_username: str = "",
) -> dict[str, str | int]:
    """What a text may name. What is not known is left out, so that `default` answers for it.

    Dates and times are local to `zone` and in `language`. `session` is the class that caused the
    journey, with its course; `cause` the fact, with its outcome.
    """
    first, _, last = learner.name.strip().partition(" ")
    course = session.course if session else next_session.course if next_session else None
    found: dict[str, str | int] = {
        "first_name": first,
        "last_name": last.strip(),
        "course_title": course.title if course else "",
        "bot_username": bot_username,
        **_of_class("session", session, zone, language),
        **_of_class("next_session", next_session, zone, language),
        **_of_cause(cause),
    }
    return {name: value for name, value in found.items() if value != ""}


def _of_class(
    prefix: str, session: ClassSession | None, zone: ZoneInfo, language: str
) -> dict[str, str]:
    if session is None:
        return {}
    values = {
        "title": session.title or session.course.title,
        "date": _date(session.starts_at, zone, language),
        "time": _time(session.starts_at, zone, language),
    }
    if prefix == "next_session":
        values["url"] = session.meet_url
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _date(at: datetime, zone: ZoneInfo, language: str) -> str:
    return texts.date_words(at.astimezone(zone), language)


def _time(at: datetime, zone: ZoneInfo, language: str) -> str:
    return texts.time_words(at.astimezone(zone), language)


def _of_cause(cause: AttendanceEvent | None) -> dict[str, int]:
    if cause is None:
        return {}
    found = {"streak": cause.streak}
    if cause.outcome is not None:
        found["minutes_present"] = cause.outcome.present_seconds // 60
    return found
