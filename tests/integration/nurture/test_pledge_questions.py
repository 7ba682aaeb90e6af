"""The bot asks before a class whether learners come: once, in time, and says why not (S05)."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from attendance import services as attendance
from attendance.domain.calendar import CalendarEvent
from attendance.models import AttendancePolicy, ClassSession, Course, Enrolment, Pledge
from attendance.services.timetable import store_events
from delivery import services as delivery
from delivery.models import Chat, Delivery
from nurture import flags, services
from nurture.models import Contact, Decision, PledgeQuestion
from nurture.services import asking, conversation, preferences
from nurture.services.explain_question import explain_question
from tests.factories import nurture as make
from tests.factories.delivery import make_chat

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
STARTS = make.CLASS_STARTS + timedelta(days=2)  # Thursday 5 March 2026, 17:00 UTC
NOON = STARTS - 5 * HOUR


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)


@pytest.fixture
def course() -> Course:
    """A course that asks a day before."""
    return asks(make.make_course(), 24)


def asks(course: Course, hours: int | None) -> Course:
    AttendancePolicy.objects.create(course=course, ask_before_hours=hours)
    return course


def ahead(course: Course, **known: Any) -> ClassSession:
    return make.make_session(
        course=course, **({"starts_at": STARTS, "status": "scheduled"} | known)
    )


def pupil(course: Course, **known: Any) -> Contact:
    contact = make.make_contact(**known)
    Enrolment.objects.create(learner=contact.learner, course=course)
    return contact


def tick(now: datetime = NOON) -> None:
    services.tick(now=now)


def codes() -> Counter[str]:
    return Counter(PledgeQuestion.objects.values_list("code", flat=True))


def question() -> Delivery:
    """The one question that is owed."""
    return Delivery.objects.get(status="pending")


def event(session: ClassSession, **changed: Any) -> CalendarEvent:
    """The class as the calendar tells it now."""
    known: dict[str, Any] = {
        "event_id": session.event_id, "starts_at": session.starts_at, "ends_at": session.ends_at,
        "title": session.title, "recurring_event_id": "", "original_start_at": None,
        "meeting_code": session.meeting_code, "meet_url": "", "organizer_email": "", "declined": (),
        "cancelled": False,
    }  # fmt: skip
    return CalendarEvent(**(known | changed))


def test_everybody_enrolled_and_linked_is_asked_once(course: Course) -> None:
    session, rosa = ahead(course), pupil(course)

    tick()
    tick()
    tick(NOON + HOUR)

    row = question()
    assert row.chat == rosa.chat
    assert row.text == "Will you come to <b>Lesson 4</b>, Thursday 5 March, 17:00?"
    assert row.buttons == [
        [["I will come", f"come:{session.pk}"], ["I can't", f"decline:{session.pk}"]]
    ]
    assert (row.due_at, row.expires_at) == (NOON, STARTS)
    assert (row.category, row.stream_id) == ("attendance", f"stream:{asking.STREAM}")
    pledge = Pledge.objects.get()
    assert (pledge.state, pledge.asked_at, pledge.source) == ("asked", NOON, "bot")
    said = Decision.objects.get(code="asked")
    assert (said.learner, said.delivery) == (rosa.learner, row)


def test_no_course_asks_unless_its_policy_says_so() -> None:
    course = make.make_course()
    ahead(course)
    pupil(course)
    tick()
    asks(course, None)
    tick()

    assert not PledgeQuestion.objects.exists()


def test_the_policy_in_force_decides(course: Course) -> None:
    """A newer version asks two hours before only."""
    AttendancePolicy.objects.create(
        course=course, version=2, valid_from=NOON - HOUR, ask_before_hours=2
    )
    ahead(course)
    pupil(course)
    tick()
    assert not PledgeQuestion.objects.exists()
    tick(STARTS - 2 * HOUR)
    assert codes() == {"asked": 1}


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"language": "es-mx"}, "¿Vendrás a <b>Lesson 4</b>, jueves 5 de marzo, 17:00?"),
        ({"time_zone": "Asia/Tokyo"}, "Will you come to <b>Lesson 4</b>, Friday 6 March, 02:00?"),
    ],
)
def test_in_their_language_and_their_clock(course: Course, known: Any, text: str) -> None:
    ahead(course)
    pupil(course, **known)
    tick(STARTS - 17 * HOUR)
    assert question().text == text


def test_quiet_hours_hold_it_and_go_with_it(course: Course) -> None:
    ahead(course)
    pupil(course, quiet_opens=time(11), quiet_closes=time(14))
    tick()
    row = question()
    assert row.due_at == NOON + 2 * HOUR
    assert (row.window_opens, row.window_closes) == (time(14), time(21))


def _silent(contact: Contact) -> None:
    assert contact.chat is not None
    delivery.set_consent(chat=contact.chat, category="", granted=False, source="stop", now=NOON)


def _blocked(contact: Contact) -> None:
    Chat.objects.update(reachability="blocked")


def _unlinked(contact: Contact) -> None:
    Contact.objects.update(chat=None)


def _nobody(contact: Contact) -> None:
    contact.delete()


def _pledged(contact: Contact) -> None:
    attendance.pledge(
        learner=contact.learner, session=ClassSession.objects.get(), answer=False, source="x",
        now=NOON,
    )  # fmt: skip


def _always_quiet(contact: Contact) -> None:
    Contact.objects.update(quiet_opens=time(0), quiet_closes=time(0))


def _off(contact: Contact) -> None:
    flags.set_nurture(percent=0)


WHY_NOT = [
    (_silent, "opted_out"), (_blocked, "unreachable"), (_unlinked, "not_linked"),
    (_nobody, "no_contact"), (_pledged, "pledge_known"), (_always_quiet, "too_late_to_ask"),
    (_off, "nurture_off"),
]  # fmt: skip


@pytest.mark.parametrize(("why", "code"), WHY_NOT, ids=[code for _, code in WHY_NOT])
def test_who_is_not_asked_has_a_reason(course: Course, why: Any, code: str) -> None:
    """Written down once, and told by explain, before the pass and after it."""
    session, rosa = ahead(course), pupil(course)
    why(rosa)
    before = explain_question(email=rosa.learner.email, session_id=session.event_id, now=NOON)

    tick()
    tick()

    after = explain_question(email=rosa.learner.email, session_id=session.event_id, now=NOON)
    assert (before.verdict, after.verdict) == (code, code)
    assert codes() == {code: 1}
    assert Decision.objects.filter(learner=rosa.learner, code=code).count() == 1
    assert not Delivery.objects.exists()
    assert not Pledge.objects.filter(state="asked").exists()


def test_who_may_be_written_to_later_is_asked_then(course: Course) -> None:
    """Linked, unblocked, back from /stop, or nurture on again, with time left."""
    ahead(course)
    _silent(pupil(course))
    late = pupil(course, linked=False)
    tick()
    assert codes() == {"opted_out": 1, "not_linked": 1}

    late.chat = make_chat()
    late.save()
    for row in Chat.objects.all():
        delivery.set_consent(chat=row, category="", granted=True, source="button", now=NOON)
        delivery.set_consent(
            chat=row, category="attendance", granted=True, source="button", now=NOON
        )
    assert services.has_upkeep(now=NOON)
    tick(NOON + HOUR)
    assert codes() == {"asked": 2}
    assert not services.has_upkeep(now=NOON + HOUR)


def test_a_rollout_that_grows_asks_more(course: Course) -> None:
    ahead(course)
    pupil(course)
    flags.set_nurture(percent=0)
    tick()
    assert not services.has_upkeep(now=NOON)
    flags.set_nurture(percent=100)
    tick()
    assert codes() == {"asked": 1}


def test_a_class_that_moves_is_asked_about_anew(course: Course) -> None:
    """What was not sent is withdrawn; the new one has the new time, when it has come."""
    session = ahead(course)
    pupil(course)
    tick()
    moved = event(
        session, starts_at=STARTS + timedelta(days=7), ends_at=STARTS + timedelta(days=7, hours=1)
    )

    store_events(course=course, events=[moved], now=NOON)
    tick()

    assert Delivery.objects.get().status == "cancelled"
    assert codes() == {"taken_back": 1}
    assert not Pledge.objects.exists()
    tick(NOON + timedelta(days=7))
    assert "Thursday 12 March" in question().text
    assert question().expires_at == moved.starts_at
    assert codes() == {"asked": 1}


def test_an_event_that_loses_its_link_asks_nobody_until_it_has_one(course: Course) -> None:
    session, rosa = ahead(course), pupil(course)
    tick()

    store_events(course=course, events=[event(session, meeting_code="")], now=NOON)
    tick()

    assert Delivery.objects.get().status == "cancelled"
    found = explain_question(email=rosa.learner.email, session_id=session.event_id, now=NOON)
    assert found.verdict == "no_link_yet"
    store_events(course=course, events=[event(session)], now=NOON + HOUR)
    tick(NOON + HOUR)
    assert question().text.startswith("Will you come")


def test_a_cancelled_class_asks_nobody_and_a_revived_one_does(course: Course) -> None:
    session = ahead(course)
    pupil(course)
    tick()
    store_events(course=course, events=[event(session, cancelled=True)], now=NOON)
    tick()
    assert Delivery.objects.get().status == "cancelled"
    assert not Pledge.objects.exists()

    store_events(course=course, events=[event(session)], now=NOON)
    tick()
    assert question().text.startswith("Will you come")


def test_who_was_asked_is_not_asked_again_when_the_class_moves(course: Course) -> None:
    session = ahead(course)
    pupil(course)
    tick()
    make.settle(question(), at=NOON)
    later = event(session, starts_at=STARTS + 2 * HOUR, ends_at=STARTS + 3 * HOUR)
    store_events(course=course, events=[later], now=NOON)
    tick()
    assert Delivery.objects.get().status == "sent"
    assert Pledge.objects.get().state == "asked"


def test_who_answers_first_is_not_asked(course: Course) -> None:
    """By /commit, or because staff noted it."""
    session, rosa, amir = ahead(course), pupil(course), pupil(course, name="Amir Lindt")
    tick()
    conversation.answer_pledge(contact=rosa, session_id=session.pk, comes=False, now=NOON)
    attendance.pledge(
        learner=amir.learner, session=session, answer=True, source="staff:boss", now=NOON
    )
    tick()
    assert Counter(Delivery.objects.values_list("status", flat=True)) == {"cancelled": 2}
    assert codes() == {"pledge_known": 2}
    assert set(Pledge.objects.values_list("state", flat=True)) == {"no", "yes"}


def test_a_new_language_is_the_language_of_what_is_not_due(course: Course) -> None:
    ahead(course)
    rosa = pupil(course, quiet_opens=time(11), quiet_closes=time(14))
    tick()
    preferences.set_language(contact=rosa, language="es", now=NOON)
    tick()
    assert question().text.startswith("¿Vendrás")


def test_explain_tells_the_rest(course: Course) -> None:
    """Not yet, not here, not theirs, over; and what became of a question."""
    session, rosa = ahead(course), pupil(course)
    elsewhere, other = ahead(make.make_course()), make.make_contact()

    def verdict(who: Contact, where: ClassSession, now: datetime) -> str:
        found = explain_question(email=who.learner.email, session_id=where.event_id, now=now)
        return found.verdict

    assert verdict(rosa, session, NOON) == "would_ask"
    assert verdict(rosa, session, STARTS - 30 * HOUR) == "not_asked_yet"
    assert verdict(rosa, session, STARTS) == "not_ahead"
    assert verdict(rosa, elsewhere, NOON) == "nobody_is_asked"
    assert verdict(other, session, NOON) == "not_expected"
    tick()
    make.settle(question(), at=NOON, status="failed", reason="chat_blocked")
    found = explain_question(email=rosa.learner.email, session_id=session.event_id, now=NOON)
    assert (found.verdict, found.input["reason"]) == ("asked", "chat_blocked")
    unknown = explain_question(email="x@y.z", session_id=session.event_id, now=NOON)
    assert unknown.verdict == "unknown_learner"


def test_as_many_statements_for_many_as_for_one(course: Course) -> None:
    ahead(course)
    pupil(course)

    def statements() -> int:
        with CaptureQueriesContext(connection) as queries:
            asking.ask_pledges(now=NOON)
        return len(queries)

    one = statements()
    for _ in range(40):
        pupil(course)
    assert statements() == one
    assert codes() == {"asked": 41}


def test_staff_hold_the_questions_alone(course: Course) -> None:
    flags.set_stream(slug=flags.QUESTIONS, on=False, by="boss")
    assert flags.state(f"stream:{flags.QUESTIONS}") == "off"


@pytest.mark.django_db(transaction=True)
def test_two_passes_at_once_ask_once() -> None:
    course = asks(make.make_course(), 24)
    ahead(course)
    for _ in range(20):
        pupil(course)

    def work() -> None:
        try:
            asking.ask_pledges(now=NOON)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Delivery.objects.count() == 20
    assert Pledge.objects.count() == 20
