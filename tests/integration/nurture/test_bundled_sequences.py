"""The sequences that telbot brings along do what their first lines say (P05)."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import nurture
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Journey, StaffTask
from nurture.services import conversation
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
FILES = Path(nurture.__file__).parent / "sequences"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


def bundled(name: str) -> None:
    make.make_sequence((FILES / f"{name}.yaml").read_text())


@pytest.mark.parametrize("comes", [True, False])
def test_who_says_yes_when_asked_is_reminded(*, comes: bool) -> None:
    """Not only who had said it before they were asked."""
    bundled("pledge-reminder")
    course = make.make_fact("attended").session.course
    starts_at = make.CLASS_STARTS + 7 * DAY
    make.make_session(course=course, starts_at=starts_at, status="scheduled")
    services.tick(now=make.NOW)
    ask = Delivery.objects.get()
    assert ask.due_at == starts_at - DAY
    make.settle(ask, at=ask.due_at)
    services.tick(now=ask.due_at)
    if comes:
        assert conversation.pledge_next(journey=Journey.objects.get(), now=ask.due_at + HOUR)

    for hours in (2, 21, 22):
        services.tick(now=ask.due_at + hours * HOUR)

    reminders = Delivery.objects.exclude(pk=ask.pk)
    assert [row.due_at for row in reminders] == ([starts_at - 2 * HOUR] if comes else [])
    assert all(row.text.startswith("You said you would come") for row in reminders)


@pytest.mark.parametrize("came", ["attended", "late", "left_early", "partial"])
def test_no_tutor_is_to_call_who_came_to_the_next_class(came: str) -> None:
    bundled("two-missed")
    contact, course = make.make_contact(), make.make_course()
    for days in (0, 1):
        starts_at = make.CLASS_STARTS + days * DAY
        held = make.make_session(course=course, starts_at=starts_at)
        make.make_fact(contact=contact, session=held)
    services.tick(now=make.NOW + DAY)
    hello = Delivery.objects.get()
    make.settle(hello, at=hello.due_at)
    services.tick(now=hello.due_at)

    after = make.make_session(course=course, starts_at=make.CLASS_STARTS + 2 * DAY)
    make.make_fact(came, contact=Contact.objects.get(), session=after)
    services.tick(now=make.NOW + 2 * DAY)
    services.tick(now=make.NOW + 5 * DAY)

    assert Journey.objects.get().exit_reason == "exit_fact"
    assert not StaffTask.objects.exists()
