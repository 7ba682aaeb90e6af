"""What becomes of a promise to come when its class is judged, and judged otherwise (N04)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from attendance import services
from attendance.domain.calendar import parse_events
from attendance.models import ClassSession, Learner, Pledge
from attendance.services.timetable import store_events
from tests.factories.classes import STARTS, facts, judge, make_class, make_course, stay

pytestmark = pytest.mark.django_db


def promised() -> tuple[Learner, ClassSession]:
    """A class to which Rosa said yes, and did not come."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    services.pledge(learner=rosa, session=session, answer=True, source="button", now=STARTS)
    return rosa, session


def test_to_a_promise_that_staff_excused_nobody_is_held() -> None:
    rosa, session = promised()
    services.excuse_pledge(learner=rosa, session=session, by="ann", now=STARTS)

    judge(session)

    assert (Pledge.objects.get().state, facts(rosa)) == ("excused", ["pledged", "missed"])


def test_a_promise_to_a_class_that_is_put_off_is_not_broken_and_can_be_changed() -> None:
    rosa, session = promised()
    now = judge(session)
    assert Pledge.objects.get().state == "broken"
    starts_at = now + timedelta(days=7)
    event = {
        "id": session.event_id, "hangoutLink": "https://meet.google.com/abc-defg-hij",
        "start": {"dateTime": starts_at.isoformat()},
        "end": {"dateTime": (starts_at + timedelta(hours=1)).isoformat()},
    }  # fmt: skip

    store_events(course=session.course, events=parse_events([event]), now=now)

    assert Pledge.objects.get().state == "yes"
    services.pledge(learner=rosa, session=session, answer=False, source="button", now=now)
    assert Pledge.objects.get().state == "no"
