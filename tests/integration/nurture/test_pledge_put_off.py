"""A class that was too early to be asked about is put off to a decent hour (S05)."""

from __future__ import annotations

import pytest

from attendance.services.timetable import store_events
from nurture import flags
from tests.factories import nurture as make
from tests.integration.nurture.test_pledge_questions import (
    HOUR,
    NOON,
    STARTS,
    ahead,
    asks,
    codes,
    event,
    pupil,
    question,
    tick,
)

pytestmark = pytest.mark.django_db


def test_it_is_asked_about_after_all() -> None:
    """At seven in the morning it began before anybody may be asked."""
    flags.set_nurture(percent=100)
    course, night = asks(make.make_course(), 24), STARTS.replace(hour=1)
    session = ahead(course, starts_at=STARTS.replace(hour=7))
    pupil(course)
    tick(night)
    assert codes() == {"too_late_to_ask": 1}

    put_off = {"starts_at": STARTS + 48 * HOUR, "ends_at": STARTS + 49 * HOUR}
    store_events(course=course, events=[event(session, **put_off)], now=night + HOUR)
    tick(night + HOUR)
    tick(NOON + 48 * HOUR)

    assert codes() == {"asked": 1}
    assert question().text.endswith("Saturday 7 March, 17:00?")
