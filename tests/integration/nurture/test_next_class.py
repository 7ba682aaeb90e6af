"""What a message says of the next class is true when it goes out (P06, P07)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from attendance.domain.calendar import parse_events
from attendance.models import ClassSession, Course, Enrolment, Outcome
from attendance.services.timetable import store_events
from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Contact, Decision, Journey
from tests.factories import nurture as make
from tests.integration.nurture.test_pledge_questions import event

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NOW = make.NOW  # Tuesday 3 March, 21:00 UTC
NINE = NOW + 12 * HOUR  # when the window opens
NEXT = make.PLAIN.replace(
    "we missed you in {{ session_title }}.",
    "the next is on {{ next_session_date }} at {{ next_session_time }}.",
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


@pytest.fixture
def course() -> Course:
    return make.make_course()


def ahead(course: Course, starts_at: datetime) -> ClassSession:
    return make.make_session(course=course, starts_at=starts_at, status="scheduled")


def missed(course: Course, source: str = NEXT) -> Contact:
    """A learner who missed Tuesday's class, and hears of it on Wednesday at nine."""
    make.make_sequence(source + make.WINDOW)
    contact = make.make_contact()
    make.make_fact(contact=contact, session=make.make_session(course=course))
    services.tick(now=NOW)
    return contact


def changed(session: ClassSession, **values: Any) -> None:
    """The calendar says so, and a pass heeds it."""
    store_events(course=session.course, events=[event(session, **values)], now=NOW)
    services.tick(now=NOW)


def owed() -> Delivery:
    return Delivery.objects.get(status="pending")


def test_a_class_that_is_over_by_then_is_not_the_next(course: Course) -> None:
    """It is planned at night and due in the morning; a class begins between."""
    ahead(course, NINE - HOUR)
    thursday = ahead(course, NINE + 32 * HOUR)

    missed(course)

    assert owed().text == "Hi Rosa, the next is on Thursday 5 March at 17:00."
    assert owed().due_at == NINE
    assert owed().expires_at == thursday.starts_at  # however long it is held up


def test_where_none_is_known_by_then_it_says_nothing_wrong(course: Course) -> None:
    ahead(course, NINE - HOUR)

    missed(course)

    assert not Delivery.objects.exists()
    assert Decision.objects.get(code="variable_missing").inputs == {"variable": "next_session_date"}
    assert Journey.objects.get().status == "completed"


def test_a_class_that_moves_is_named_anew(course: Course) -> None:
    thursday = ahead(course, NINE + 32 * HOUR)
    missed(course)

    changed(thursday, starts_at=thursday.starts_at + 2 * HOUR, ends_at=thursday.ends_at + 2 * HOUR)

    assert owed().text == "Hi Rosa, the next is on Thursday 5 March at 19:00."
    said = Decision.objects.get(code="class_changed")
    assert said.delivery
    assert (said.delivery.reason, owed().due_at) == ("withdrawn", NINE)


def test_after_one_that_is_called_off_comes_another(course: Course) -> None:
    thursday = ahead(course, NINE + 32 * HOUR)
    ahead(course, NINE + 80 * HOUR)
    missed(course)

    changed(thursday, cancelled=True)

    assert owed().text == "Hi Rosa, the next is on Saturday 7 March at 17:00."


def test_what_speaks_of_no_class_to_come_is_left_alone(course: Course) -> None:
    """Not even of the class that the learner missed."""
    thursday = ahead(course, NINE + 32 * HOUR)
    missed(course, make.PLAIN)
    was = owed()

    changed(thursday, cancelled=True)

    assert (owed().pk, owed().expires_at) == (was.pk, None)


def test_another_class_that_moves_drops_no_reminder_that_waits_for_its_hours(
    course: Course,
) -> None:
    """Its moment was in the night, before the window; the class it speaks of stands."""
    soon = ahead(course, NINE + 2 * HOUR)
    friday = ahead(course, NINE + 56 * HOUR)
    missed(course, NEXT.replace("    text:", "    wait: {before_next_session: 13h}\n    text:"))
    was = owed()
    later = NOW + 5 * HOUR

    moved = event(friday, starts_at=friday.starts_at + HOUR, ends_at=friday.ends_at + HOUR)
    store_events(course=course, events=[moved], now=later)
    services.tick(now=later)

    assert (owed().due_at, owed().expires_at) == (was.due_at, soon.starts_at) == (
        NINE, NINE + 2 * HOUR,
    )  # fmt: skip


@pytest.mark.parametrize("ends_at", [None, NINE + 400 * HOUR, NOW - HOUR])
def test_another_meet_link_is_told_to_everybody_who_is_owed_the_old_one(
    course: Course, ends_at: datetime | None
) -> None:
    """Also to those whose time in the course has an end, or is over."""
    thursday = ahead(course, NINE + 32 * HOUR)
    ClassSession.objects.filter(pk=thursday.pk).update(meet_url="https://meet.google.com/old")
    missed(course, NEXT.replace("{{ next_session_time }}", "{{ next_session_url }}"))
    Enrolment.objects.update(ends_at=ends_at)

    changed(thursday, meet_url="https://meet.google.com/new")

    assert owed().text.endswith("at https://meet.google.com/new.")


def test_a_class_that_was_brought_forward_and_is_over_is_not_the_next(course: Course) -> None:
    thursday = ahead(course, NINE + 32 * HOUR)
    ahead(course, NINE + 80 * HOUR)
    missed(course)

    changed(thursday, starts_at=NOW - 2 * HOUR, ends_at=NOW - HOUR)

    assert owed().text == "Hi Rosa, the next is on Saturday 7 March at 17:00."


def test_a_class_that_becomes_an_all_day_event_is_no_class_to_come(course: Course) -> None:
    thursday = ahead(course, NINE + 32 * HOUR)
    ahead(course, NINE + 80 * HOUR)
    missed(course)
    item = {"id": thursday.event_id, "start": {"date": "2026-03-05"}, "end": {"date": "2026-03-06"}}

    store_events(course=course, events=parse_events([item, item | {"id": "holiday"}, {}]), now=NOW)
    services.tick(now=NOW)

    assert owed().text == "Hi Rosa, the next is on Saturday 7 March at 17:00."
    assert not ClassSession.objects.filter(event_id="holiday").exists()


def test_nobody_was_missed_in_a_class_that_turns_out_to_be_still_to_come(course: Course) -> None:
    """The teacher put it off by a week, and said so to the calendar when it had been judged."""
    missed(course, make.PLAIN)
    held = Journey.objects.get().session
    assert held

    for _ in range(2):
        changed(
            held,
            starts_at=held.starts_at + timedelta(days=7),
            ends_at=held.ends_at + timedelta(days=7),
        )

    assert not Delivery.objects.filter(status="pending").exists()
    assert Journey.objects.get().exit_reason == "corrected"
    outcome = Outcome.objects.get(is_current=True)
    assert (outcome.effective, outcome.revision) == (False, 2)
