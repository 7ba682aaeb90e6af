"""Another zone, language or other quiet hours: what is planned is planned anew (P08, S02)."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from attendance.models import AttendancePolicy, Course, Enrolment
from delivery.models import Delivery
from delivery.services import again as delivery
from nurture import flags, selectors, services
from nurture.models import Contact, CourseZone, Decision, Journey, PledgeQuestion
from nurture.services import journeys, preferences, replanning
from nurture.services.contacts import import_learners
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NOW = make.NOW  # a Tuesday, 21:00 UTC: 06:00 on Wednesday in Tokyo
NINE_UTC = NOW + 12 * HOUR
NINE_TOKYO = NOW + 3 * HOUR
MORNING = make.PLAIN + make.WINDOW


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    make.make_sequence(MORNING)


@pytest.fixture
def course() -> Course:
    return make.make_course()


def missed(course: Course, **known: Any) -> Contact:
    """A learner who missed the class of this course, and is to hear of it in the morning."""
    contact = make.make_contact(**known)
    make.make_fact(contact=contact, session=make.make_session(course=course))
    services.tick(now=NOW)
    return contact


def move(course: Course, zone: str = "Asia/Tokyo") -> None:
    Course.objects.filter(pk=course.pk).update(time_zone=zone)


def planned(contact: Contact) -> datetime:
    """When the one message that is owed to a learner is due."""
    return Delivery.objects.get(chat=contact.chat, status="pending").due_at


def test_a_course_that_gets_another_zone_is_planned_by_it(course: Course) -> None:
    """Within a pass of upkeep; who named a zone of their own is left alone."""
    rosa, amir = missed(course), missed(course, name="Amir Lindt", time_zone="Etc/UTC")
    other = missed(make.make_course())
    assert not services.has_upkeep(now=NOW)

    move(course)

    assert services.has_upkeep(now=NOW)
    services.tick(now=NOW)
    assert [planned(who) for who in (rosa, amir, other)] == [NINE_TOKYO, NINE_UTC, NINE_UTC]
    assert not services.has_upkeep(now=NOW)
    said = Decision.objects.get(code="planned_anew")
    assert said.learner == rosa.learner
    assert said.delivery
    assert (said.delivery.status, said.delivery.reason) == (
        "cancelled", "withdrawn",
    )  # fmt: skip
    assert replanning.heed_zones(now=NOW) == 0


def test_the_zone_of_the_whole_school_counts_where_the_course_has_none(
    course: Course, settings: Any
) -> None:
    rosa = missed(course)

    settings.TIME_ZONE = "Asia/Tokyo"
    services.tick(now=NOW)

    assert planned(rosa) == NINE_TOKYO
    assert CourseZone.objects.get(course=course).zone == "Asia/Tokyo"


def test_what_is_due_stays_and_what_is_off_waits(course: Course) -> None:
    rosa = missed(course)
    move(course)

    flags.pause_nurture()
    services.tick(now=NOW)
    assert planned(rosa) == NINE_UTC
    assert not services.has_upkeep(now=NOW)

    flags.set_nurture(percent=100)
    services.tick(now=NINE_UTC)  # it is about to go out: deciding again could only lose it
    assert planned(rosa) == NINE_UTC
    assert not Decision.objects.filter(code="planned_anew").exists()


@pytest.mark.parametrize("put_off", [False, True])
def test_what_is_held_when_due_goes_out_in_the_hours_of_now(course: Course, put_off: bool) -> None:
    """By a closed gate, or by a snooze: at 09:00 UTC it is night in Los Angeles."""
    rosa = missed(course)
    owed = Delivery.objects.filter(chat=rosa.chat)
    if put_off:
        owed.update(run_at=NINE_UTC + 48 * HOUR)
    move(course, "America/Los_Angeles")

    services.tick(now=NINE_UTC + HOUR)

    row = owed.get(status="pending")
    assert (row.window_zone, row.window_opens) == ("America/Los_Angeles", time(9))
    assert row.due_at == (NINE_UTC + 8 * HOUR if put_off else NINE_UTC)


def test_who_waits_for_a_local_time_waits_for_that_of_the_new_zone(course: Course) -> None:
    """A wait that ends in the morning must not end at night, with the message after it."""
    make.make_sequence(
        make.PLAIN.replace("missed-class", "rests").replace(
            "steps:\n", 'steps:\n  - {key: rest, kind: wait, wait: {at: "09:00"}}\n'
        )
    )
    missed(course)

    move(course)
    services.tick(now=NOW)

    assert Journey.objects.get(sequence__slug="rests").next_action_at == NINE_TOKYO
    assert services.tick(now=NINE_TOKYO).deliveries == 1


def test_another_language_loses_no_message_that_only_waits_for_its_hours(course: Course) -> None:
    """Its moment before the class was at night; the class is still ahead."""
    make.make_sequence(
        make.PLAIN.replace("missed-class", "soon").replace(
            "    text:", "    wait: {before_next_session: 5h}\n    text:"
        )
        + make.WINDOW
    )
    make.make_session(course=course, starts_at=NINE_UTC + 2 * HOUR, status="scheduled")
    rosa = missed(course)
    was = Delivery.objects.get(chat=rosa.chat, stream="stream:soon")
    assert was.due_at == NINE_UTC

    preferences.set_language(contact=rosa, language="es", now=NINE_UTC - HOUR)

    row = Delivery.objects.get(chat=rosa.chat, stream="stream:soon", status="pending")
    assert (row.due_at, row.expires_at) == (NINE_UTC, NINE_UTC + 2 * HOUR)
    assert row.pk != was.pk


def test_a_question_before_a_class_is_asked_anew(course: Course) -> None:
    AttendancePolicy.objects.create(course=course, ask_before_hours=24)
    contact = make.make_contact()
    Enrolment.objects.create(learner=contact.learner, course=course)
    make.make_session(course=course, starts_at=NOW + 15 * HOUR, status="scheduled")
    services.tick(now=NOW)  # 21:00 is late: it is asked in the morning
    was = planned(contact)

    move(course)
    services.tick(now=NOW)

    assert planned(contact) < was
    assert PledgeQuestion.objects.get().round == 2


def test_one_that_breaks_is_held_alone(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    rosa, amir = missed(course), missed(course, name="Amir Lindt")
    real = journeys.replan

    def breaks(*, journey: Journey, **known: Any) -> bool:
        if journey.learner_id == rosa.learner_id:
            raise RuntimeError("broken")
        return real(journey=journey, **known)

    monkeypatch.setattr(replanning, "replan", breaks)
    move(course)
    services.tick(now=NOW)

    assert planned(amir) == NINE_TOKYO
    assert Journey.objects.get(learner=rosa.learner).status == "paused"
    assert selectors.zones_changed() == []


def test_a_file_that_says_another_zone_moves_what_is_planned(course: Course) -> None:
    rosa, amir = missed(course), missed(course, name="Amir Lindt")
    lines = [f"{who.learner.email},{who.learner.name}," for who in (rosa, amir)]

    for _ in range(2):
        import_learners(content=f"email,name,timezone\n{lines[0]}Asia/Tokyo\n{lines[1]}\n", now=NOW)

    assert [planned(rosa), planned(amir)] == [NINE_TOKYO, NINE_UTC]
    assert Decision.objects.filter(code="planned_anew").count() == 1


# --- by staff -------------------------------------------------------------------------------------


@pytest.fixture
def staff(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Somebody who may change contacts and courses, at NOW."""
    monkeypatch.setattr("nurture.admin.people.now", lambda: NOW)
    user = User.objects.create_user("eve", is_staff=True)
    names = ("view_contact", "change_contact", "view_course", "change_course")
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(user)
    return client


def save(client: Client, contact: Contact, **changed: str) -> Any:
    """Save the page of a contact with these fields changed."""
    given = {"chat": contact.chat_id, "time_zone": ""} | changed
    url = reverse("admin:nurture_contact_change", args=[contact.pk])
    return client.post(url, given, follow=True)


def test_staff_who_change_a_contact_move_what_is_planned(staff: Client, course: Course) -> None:
    rosa = missed(course)

    text = save(staff, rosa, time_zone="Asia/Tokyo").content.decode()
    assert "Planned anew: 1 message." in text
    assert planned(rosa) == NINE_TOKYO
    quiet = {"quiet_opens": "07:00", "quiet_closes": "11:00"}
    save(staff, rosa, time_zone="Asia/Tokyo", **quiet)
    assert planned(rosa) == NINE_TOKYO + 2 * HOUR
    text = save(staff, rosa, time_zone="Asia/Tokyo", **quiet).content.decode()
    assert "Planned anew" not in text  # nothing of that kind has changed


@pytest.mark.parametrize("to", ["nobody", "another"])
def test_a_chat_that_is_unlinked_gets_nothing_of_the_learners_any_more(
    staff: Client, course: Course, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    """Somebody else said yes to her link: what is due and what is asked is withdrawn at once."""
    AttendancePolicy.objects.create(course=course, ask_before_hours=24)
    rosa = missed(course)
    make.make_session(course=course, starts_at=NOW + 15 * HOUR, status="scheduled")
    services.tick(now=NOW)
    stranger, hers = rosa.chat, make.make_contact(name="Amir Lindt").chat
    assert stranger is not None
    assert hers is not None
    Contact.objects.exclude(pk=rosa.pk).update(chat=None)
    owed = Delivery.objects.filter(status="pending")
    assert owed.filter(chat=stranger).count() == 2
    monkeypatch.setattr("nurture.admin.people.now", lambda: NINE_UTC)  # both are due

    save(staff, rosa, chat=str(hers.pk) if to == "another" else "")

    assert not owed.filter(chat=stranger).exists()
    services.tick(now=NINE_UTC)
    assert owed.filter(chat=hers).count() == (2 if to == "another" else 0)
    if to == "nobody":
        assert Journey.objects.get().exit_reason == "not_linked"


def test_nothing_is_sent_again_to_a_chat_that_was_unlinked(staff: Client, course: Course) -> None:
    rosa = missed(course)
    Delivery.objects.update(status="dead", reason="poison", settled_at=NOW)
    dead = Delivery.objects.get()
    assert [why for _, why in delivery.preview_again(delivery_ids=[dead.pk], now=NOW)] == [""]

    save(staff, rosa, chat="")

    assert delivery.send_again(delivery_ids=[dead.pk], now=NOW) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"time_zone": "Europe/Nowhere"}, "not one of the available choices"),
        ({"quiet_opens": "22:00"}, "Quiet hours need both ends, or none."),
    ],
)
def test_what_makes_no_sense_is_refused(
    staff: Client, course: Course, changed: dict[str, str], said: str
) -> None:
    rosa = missed(course)

    assert said in save(staff, rosa, **changed).content.decode()

    assert planned(rosa) == NINE_UTC


def test_staff_who_change_a_course_move_what_is_planned(staff: Client, course: Course) -> None:
    rosa = missed(course)
    url = reverse("admin:attendance_course_change", args=[course.pk])
    values = {"title": course.title, "calendar_id": course.calendar_id, "active": "on"}

    assert "planned anew by it within a minute" in staff.get(url).content.decode()
    assert staff.post(url, values | {"time_zone": "Asia/Tokyo"}).status_code == 302
    services.tick(now=NOW)

    assert planned(rosa) == NINE_TOKYO
