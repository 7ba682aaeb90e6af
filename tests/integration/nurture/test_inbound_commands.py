"""What a learner may ask of the bot, and what comes of it (N06, N17, S05)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from attendance.models import AttendanceEvent, ClassSession, Course, Outcome, Pledge
from config.console import zone_names
from delivery import services as delivery
from delivery.inbound import InboundButton, InboundMessage, Reply, split_command
from delivery.models import Chat, Delivery
from nurture import flags, services
from nurture.inbound import handle
from nurture.models import Contact, Journey
from nurture.services import conversation, preferences
from nurture.words import WORDS
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOW = make.NOW  # Tuesday 3 March 2026, 21:00 UTC


@pytest.fixture
def rosa() -> Contact:
    """Linked, in UTC, enrolled in a course with two classes to come; she missed one."""
    contact = make.make_contact()
    fact = make.make_fact(contact=contact)
    for days in (2, 9):
        make.make_session(
            course=fact.session.course, starts_at=make.CLASS_STARTS + days * DAY,
            status="scheduled", title=f"Lesson {days}",
        )  # fmt: skip
    return contact


def write(contact: Contact, text: str, *, now: datetime = NOW) -> Reply:
    """She writes this."""
    assert contact.chat is not None
    command, argument = split_command(text)
    chat = contact.chat.telegram_id
    (reply,) = handle(
        InboundMessage(
            update_id=1, chat_id=chat, user_id=chat, first_name="R", language_code="en",
            text=text, command=command, argument=argument,
        ),
        now=now,
    )  # fmt: skip
    return reply


def press(contact: Contact, action: str) -> Reply:
    """She presses this."""
    assert contact.chat is not None
    chat = contact.chat.telegram_id
    (reply,) = handle(
        InboundButton(
            update_id=2, chat_id=chat, user_id=chat, first_name="R", language_code="en",
            action=action, delivery_id=None, callback_id="c",
        ),
        now=NOW,
    )  # fmt: skip
    return reply


def owed() -> Delivery:
    """The one message that is planned."""
    return Delivery.objects.get(status="pending")


def planned(source: str) -> Delivery:
    """What the sequence plans for her."""
    flags.set_nurture(percent=100)
    make.make_sequence(source)
    services.tick(now=NOW)
    return owed()


LATER = make.PLAIN.replace("    text:", "    wait: {after: 1d}\n    text:")
AT_NINE = make.PLAIN.replace("    text:", '    wait: {at: "09:00", plus_days: 1}\n    text:')


def test_the_schedule_shows_the_next_classes_and_who_said_they_come(rosa: Contact) -> None:
    coming = ClassSession.objects.get(title="Lesson 9")
    Pledge.objects.create(
        learner=rosa.learner, session=coming, state="yes", answered_at=NOW, source="bot"
    )
    text = write(rosa, "/schedule").text
    assert [line.count("✓") for line in text.splitlines()] == [0, 0, 1]
    assert "Lesson 2</b>, Thursday 5 March, 17:00" in text

    rosa.time_zone = "Asia/Kolkata"
    rosa.save()
    assert "Lesson 2</b>, Thursday 5 March, 22:30" in write(rosa, "/schedule").text


def test_who_has_left_the_course_sees_none_of_its_classes(rosa: Contact) -> None:
    rosa.learner.enrolments.update(ends_at=NOW)
    assert write(rosa, "/schedule").text == WORDS["en"]["status_no_class"]
    assert write(rosa, "/commit").text == WORDS["en"]["status_no_class"]


def test_status_and_schedule_agree_on_the_next_class(rosa: Contact) -> None:
    """A course that begins for them next week, and one that ends before its next class."""
    rosa.learner.enrolments.update(starts_at=NOW + 5 * DAY)
    assert "Lesson 9" in write(rosa, "/status").text
    rosa.learner.enrolments.update(starts_at=None, ends_at=NOW + DAY)
    assert WORDS["en"]["status_no_class"] in write(rosa, "/status").text


def test_who_has_not_set_a_zone_reads_the_clock_of_their_course(rosa: Contact) -> None:
    Course.objects.update(time_zone="Asia/Kolkata")
    assert "Asia/Kolkata" in write(rosa, "/timezone").text
    assert "Wednesday 4 March, 04:30" in write(rosa, "/snooze 2h").text
    assert "Lesson 2</b>, Thursday 5 March, 22:30" in write(rosa, "/status").text


def test_next_tells_when_and_not_before_a_snooze_is_over(rosa: Contact) -> None:
    assert write(rosa, "/next").text == WORDS["en"]["next_none"]
    planned(LATER)
    assert "Wednesday 4 March, 21:00" in write(rosa, "/next").text
    write(rosa, "/snooze 3d")
    assert "Friday 6 March, 21:00" in write(rosa, "/next").text
    assert write(rosa, "/next", now=NOW + 4 * DAY).text == WORDS["en"]["next_now"]
    delivery.close_gate(key=owed().stream_id, reason="its words", by="eve")
    assert write(rosa, "/next", now=NOW + 4 * DAY).text == WORDS["en"]["next_held"]


def test_moments_are_told_on_the_clock_of_the_course_by_which_they_are_planned(
    rosa: Contact,
) -> None:
    Course.objects.update(time_zone="Asia/Kolkata")
    planned(LATER)

    assert "Thursday 5 March, 02:30" in write(rosa, "/next").text
    assert "Asia/Kolkata" in write(rosa, "/timezone").text


def test_why_names_the_class_and_its_day(rosa: Contact) -> None:
    assert write(rosa, "/why").text == WORDS["en"]["why_nothing"]
    make.settle(planned(make.PLAIN), at=NOW)

    said = write(rosa, "/why").text
    assert "you were not in <b>Lesson 4</b>, Tuesday 3 March, 17:00" in said

    fact = AttendanceEvent.objects.get()
    Journey.objects.update(
        status="completed", ended_at=NOW, slot=None, next_action_at=None, waiting_on=None
    )
    Outcome.objects.update(is_current=False, revision=7)
    make.make_fact("attended", contact=rosa, session=fact.session, recorded_at=NOW)
    assert "turned out" not in write(rosa, "/why").text
    make.make_fact("corrected", contact=rosa, session=fact.session, recorded_at=NOW)
    assert "turned out to be wrong" in write(rosa, "/why").text  # though it was over by then
    Outcome.objects.update(outcome="missed")  # and what was said first stands after all
    assert "turned out" not in write(rosa, "/why").text
    Outcome.objects.update(flags=["brief"])  # of who was there for a moment no absence is said
    assert "turned out to be wrong" in write(rosa, "/why").text
    Outcome.objects.update(flags=[])
    Journey.objects.update(
        status="exited", exit_reason="corrected", ended_at=NOW, slot=None, next_action_at=None
    )
    assert "turned out to be wrong" in write(rosa, "/why").text


def test_why_speaks_of_no_message_that_belongs_to_somebody_else(rosa: Contact) -> None:
    """The chat was another learner's before: what they got is not told."""
    make.settle(planned(make.PLAIN), at=NOW)
    other = make.make_contact(linked=False)
    chat, rosa.chat = rosa.chat, None
    rosa.save()
    other.chat = chat
    other.save()
    assert write(other, "/why").text == WORDS["en"]["why_nothing"]


def test_each_fact_has_words_in_each_language() -> None:
    for words in WORDS.values():
        assert set(words) == set(WORDS["en"])


@pytest.mark.parametrize(
    ("said", "hours"), [("", 24), ("2h", 2), ("3d", 72), ("90 m", 1.5), ("5", 120), ("99d", 720)]
)
def test_snooze_holds_what_is_owed_and_not_the_answers(
    rosa: Contact, said: str, hours: float
) -> None:
    reply = write(rosa, f"/snooze {said}".strip())
    chat = Chat.objects.get(contact=rosa)
    assert chat.snoozed_until == NOW + timedelta(hours=hours)
    assert "/resume" in reply.text


def test_a_snooze_after_stop_promises_no_end_of_the_silence(rosa: Contact) -> None:
    write(rosa, "/stop")
    assert write(rosa, "/snooze 2h").text == WORDS["en"]["status_no_consent"]


def test_who_wants_messages_again_gets_them_although_they_snoozed_before(rosa: Contact) -> None:
    write(rosa, "/snooze 30d")
    write(rosa, "/stop")
    assert press(rosa, "optin").text == WORDS["en"]["opted_in"]
    assert Chat.objects.get(contact=rosa).snoozed_until is None


@pytest.mark.parametrize("said", ["0d", "soon", "-2h", "2w", "12345d"])
def test_a_snooze_that_is_not_understood_changes_nothing(rosa: Contact, said: str) -> None:
    assert write(rosa, f"/snooze {said}").text == WORDS["en"]["snooze_bad"]
    assert Chat.objects.get(contact=rosa).snoozed_until is None


def test_resume_lets_go_what_a_snooze_put_off(rosa: Contact) -> None:
    row = make_delivery(chat=rosa.chat)
    write(rosa, "/snooze 3d")
    Delivery.objects.filter(pk=row.pk).update(run_at=row.due_at + 10_000 * DAY)  # put off

    assert write(rosa, "/resume").text == WORDS["en"]["resumed"]

    row.refresh_from_db()
    assert Chat.objects.get(contact=rosa).snoozed_until is None
    assert row.run_at < row.due_at + 10_000 * DAY


def test_resume_asks_who_said_stop(rosa: Contact) -> None:
    """Consent comes back by the button alone."""
    write(rosa, "/stop")
    reply = write(rosa, "/resume")
    assert [action for _, action in reply.buttons[0]] == ["optin"]
    assert rosa.chat is not None
    assert not delivery.has_consent(chat=rosa.chat, category="")


def test_a_time_zone_moves_what_is_planned(rosa: Contact) -> None:
    assert planned(AT_NINE).due_at == make.CLASS_STARTS.replace(day=4, hour=9)

    reply = write(rosa, "/timezone kolkata")

    assert "Asia/Kolkata" in reply.text
    assert "Wednesday 4 March, 02:30" in reply.text
    # 21:00 UTC is Wednesday there; a day later at nine is Thursday, 03:30 UTC.
    assert owed().due_at == make.CLASS_STARTS.replace(day=5, hour=3, minute=30)
    assert "Asia/Kolkata" in write(rosa, "/timezone").text


@pytest.mark.parametrize(
    "said",
    ["Nowhere", "gmt-5", "Madrid, Spain", "Europe", "'; DROP TABLE", "../etc/passwd", "x" * 500],
)
def test_a_zone_that_is_none_changes_nothing(rosa: Contact, said: str) -> None:
    assert write(rosa, f"/timezone {said}").text == WORDS["en"]["zone_bad"]
    rosa.refresh_from_db()
    assert rosa.time_zone == ""


@pytest.mark.parametrize(
    ("said", "zone"),
    [
        ("europe/madrid", "Europe/Madrid"),
        ("New York", "America/New_York"),
        ("UTC", "UTC"),
        ("Bogotá", "America/Bogota"),
        ("são paulo", "America/Sao_Paulo"),
    ],
)
def test_zones_are_found_as_people_write_them(said: str, zone: str) -> None:
    assert preferences.find_zone(said) == zone


def test_a_zone_that_the_database_does_not_know_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its message could not be looked at before it goes out, nor those that go with it."""
    monkeypatch.setattr(
        zone_names, "available_timezones", lambda: {"Mars/Olympus", "Europe/Madrid"}
    )
    zone_names.known_zones.cache_clear()
    try:
        assert preferences.find_zone("madrid") == "Europe/Madrid"
        assert preferences.find_zone("olympus") is None
    finally:
        zone_names.known_zones.cache_clear()


def test_a_language_changes_the_words_that_are_planned(rosa: Contact) -> None:
    planned(LATER + "languages: {es: {hello: Te echamos de menos.}}\n")
    asked = write(rosa, "/language")
    assert [row[0][1] for row in asked.buttons] == ["language:en", "language:es"]

    assert press(rosa, "language:es").text == WORDS["es"]["language_set"]

    assert owed().text == "Te echamos de menos."
    assert write(rosa, "/status").text.startswith("Próxima clase")
    assert write(rosa, "/language english").text == WORDS["en"]["language_set"]
    assert press(rosa, "language:xx").text == WORDS["en"]["button_too_old"]


def test_a_choice_loses_nothing_that_is_due(rosa: Contact) -> None:
    """What may go out this minute is not decided about again."""
    row = planned(make.PLAIN)
    write(rosa, "/timezone kolkata")
    assert owed().pk == row.pk


def test_who_has_left_the_course_does_not_promise_its_next_class(rosa: Contact) -> None:
    """By the button of a message of last week."""
    planned(make.PLAIN)
    rosa.learner.enrolments.update(ends_at=NOW)
    journey = Journey.objects.get()
    assert conversation.pledge_next(journey=journey, now=NOW) is None
    assert not Pledge.objects.exists()


def test_a_learner_commits_to_a_class_by_its_button(rosa: Contact) -> None:
    asked = write(rosa, "/commit")
    assert len(asked.buttons) == 2
    (yes, come), (_, decline) = asked.buttons[0]
    assert "Thursday 5 March, 17:00" in yes

    assert "Lesson 2" in press(rosa, come).text
    assert Pledge.objects.get(session__title="Lesson 2").state == "yes"
    assert "not at <b>Lesson 2" in press(rosa, decline).text
    assert Pledge.objects.get(session__title="Lesson 2").state == "no"


@pytest.mark.parametrize("made_up", ["come:0", "come:x", "come:", "come:99999999999999999999"])
def test_a_class_that_is_none_of_theirs_is_not_committed_to(rosa: Contact, made_up: str) -> None:
    other = make.make_session(starts_at=NOW + DAY, status="scheduled")
    for action in (made_up, f"come:{other.pk}"):
        assert press(rosa, action).text == WORDS["en"]["button_too_old"]
    assert not Pledge.objects.exists()


def test_help_lists_every_command_and_each_is_answered(rosa: Contact) -> None:
    listed = re.findall(r"^/(\w+)", WORDS["en"]["help"], re.MULTILINE)
    assert listed == re.findall(r"^/(\w+)", WORDS["es"]["help"], re.MULTILINE)
    assert len(listed) == 12
    for command in listed:
        assert write(rosa, f"/{command}").text != WORDS["en"]["unclear"]
