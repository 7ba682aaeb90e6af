"""Who could not be asked whether they come is asked once they can be (S05)."""

from __future__ import annotations

from datetime import time

import pytest

from attendance.models import Pledge
from attendance.services.timetable import store_events
from delivery.services.chats import set_reachability
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


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


@pytest.mark.parametrize(
    ("status", "reason"), [("skipped", "chat_blocked"), ("failed", "chat_blocked")]
)
def test_who_lets_the_bot_in_again_is_asked(status: str, reason: str) -> None:
    """The question waited for their quiet hours to end, and they had blocked the bot by then."""
    course = asks(make.make_course(), 24)
    ahead(course)
    rosa = pupil(course, quiet_opens=time(11), quiet_closes=time(14))
    assert rosa.chat
    tick()
    set_reachability(chat=rosa.chat, reachability="blocked", now=NOON + HOUR)
    make.settle(question(), at=NOON + 2 * HOUR, status=status, reason=reason)
    tick(NOON + 2 * HOUR)
    assert codes() == {"unreachable": 1}
    assert not Pledge.objects.exists()

    set_reachability(chat=rosa.chat, reachability="ok", now=NOON + 3 * HOUR)
    tick(NOON + 3 * HOUR)

    assert codes() == {"asked": 1}
    assert question().due_at == NOON + 3 * HOUR


def test_a_class_put_off_is_asked_about_though_it_was_too_late_before() -> None:
    """At seven in the morning it began before anybody may be asked."""
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
