"""Events of a course's calendar without a Meet link or a call: no classes to judge (S01, N04)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from attendance import selectors, services
from attendance.domain.calendar import parse_event
from attendance.models import AttendanceEvent, ClassSession, Course
from attendance.sandbox.shapes import calendar_event
from attendance.services.timetable import store_events
from tests.factories.classes import (
    ENDS,
    HOST,
    STARTS,
    judge,
    make_class,
    make_course,
    open_items,
    outcome_of,
    stay,
)

pytestmark = pytest.mark.django_db
WEEK = timedelta(weeks=1)


def make_event(course: Course, *, weeks: int) -> ClassSession:
    """An hour in the calendar without a link, of which the log knows nothing."""
    session = make_class(course, weeks=weeks, meeting_code="")
    session.matches.all().delete()
    return session


def tell(course: Course, *, link: bool, at: timedelta) -> None:
    """The calendar tells of one event a week ahead, that long after the first class."""
    item: dict[str, Any] = calendar_event(
        event_id="ahead", starts_at=STARTS + WEEK, ends_at=ENDS + WEEK, title="Lesson 2",
        meeting_code="abc-defg-hij", organizer_email=HOST,
    )  # fmt: skip
    if not link:
        item = {k: v for k, v in item.items() if k not in {"hangoutLink", "conferenceData"}}
    found = parse_event(item)
    assert found is not None
    store_events(course=course, events=[found], now=STARTS + at)


def test_it_is_stepped_over_asks_nobody_and_says_why() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    first, event, third = (
        make_class(course),
        make_event(course, weeks=1),
        make_class(course, weeks=2),
    )
    for session in (first, third):
        stay(session, email=amir.email)
    for session in (first, event):
        judge(session)
    now = judge(third)

    rows = AttendanceEvent.objects.filter(learner=rosa, kind="missed")
    assert list(rows.order_by("pk").values_list("session", "streak")) == [
        (first.pk, 1),
        (third.pk, 2),
    ]
    assert selectors.streak(
        learner_id=rosa.pk, course_id=course.pk, fact="missed", session=third
    ) == 2  # fmt: skip
    assert open_items("no_data") == []
    assert (outcome_of(rosa, event).outcome, outcome_of(rosa, event).effective) == (
        "unknown",
        False,
    )
    found = selectors.explain_outcome(learner=rosa, session=event, now=now)
    assert found.reason == "no_meet_link"
    assert next(r["rule"] for r in found.rules if not r["passed"]) == "class_online"
    assert selectors.newest_class(learner_id=rosa.pk, until=event.ends_at) == first


def test_a_call_makes_it_an_ordinary_class() -> None:
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    event = make_event(course, weeks=0)
    judge(event)
    called = make_class(course, weeks=5)  # its call turns out to be that of the event
    called.matches.update(session=event)
    stay(event, email=amir.email)

    judge(event, after=timedelta(hours=4))

    assert (outcome_of(amir, event).outcome, outcome_of(amir, event).effective) == (
        "attended",
        True,
    )
    assert (outcome_of(rosa, event).outcome, outcome_of(rosa, event).effective) == ("missed", True)


def test_it_is_announced_only_while_it_has_a_link() -> None:
    course, _ = make_course("Rosa Maro")
    later = make_class(course, weeks=2)
    announced = []
    for hours, link in enumerate((False, True, False, True)):
        tell(course, link=link, at=timedelta(hours=hours))
        announced.append(selectors.next_session(course_id=course.pk, after=STARTS))

    ahead = ClassSession.objects.get(event_id="ahead")
    assert announced == [later, ahead, later, ahead]
    # What counts back from the next class hears each time that it is another one.
    assert AttendanceEvent.objects.filter(kind="session_moved", session=ahead).count() == 3


def test_an_event_without_a_link_that_moves_is_nobodys_news() -> None:
    course, _ = make_course("Rosa Maro")
    tell(course, link=False, at=timedelta())
    event = ClassSession.objects.get()
    event.starts_at -= timedelta(minutes=15)
    event.save()

    tell(course, link=False, at=timedelta(hours=1))

    assert not AttendanceEvent.objects.exists()


def test_before_it_begins_the_reason_is_the_missing_link() -> None:
    course, (rosa,) = make_course("Rosa Maro")
    event = make_event(course, weeks=0)

    found = selectors.explain_outcome(learner=rosa, session=event, now=STARTS - WEEK)

    assert found.reason == "no_meet_link"
    services.settle_session(session_id=event.pk, now=ENDS)
    event.refresh_from_db()
    assert (event.status, event.next_check_at) == ("no_data", None)
