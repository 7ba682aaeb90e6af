"""What a learner answers to the question before a class, and how they change their mind (S05)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from attendance.models import AttendancePolicy, Pledge
from delivery import clock
from delivery.inbound import InboundButton, Reply
from delivery.models import Delivery
from nurture import flags
from nurture.inbound import handle
from nurture.models import Contact, PledgeQuestion
from nurture.services import conversation, outlook
from nurture.words import WORDS
from tests.factories import nurture as make
from tests.integration.nurture.test_pledge_questions import (
    HOUR,
    NOON,
    STARTS,
    ahead,
    asks,
    codes,
    pupil,
    question,
    tick,
)

pytestmark = pytest.mark.django_db


def press(contact: Contact, action: str, now: datetime = NOON) -> Reply:
    """She presses this button."""
    assert contact.chat is not None
    chat = contact.chat.telegram_id
    button = InboundButton(
        update_id=2, chat_id=chat, user_id=chat, first_name="R", language_code="en",
        action=action, delivery_id=None, callback_id="c",
    )  # fmt: skip
    (reply,) = handle(button, now=now)
    return reply


def test_an_answer_is_confirmed_and_can_be_changed_until_the_class_begins() -> None:
    """A press takes the buttons off a message, so the confirmation brings the other one."""
    flags.set_nurture(percent=100)
    course = asks(make.make_course(), 24)
    ahead(course)
    rosa = pupil(course)
    tick()
    ((_yes, no),) = question().buttons
    make.settle(question(), at=NOON)

    declined = press(rosa, no[1])
    assert declined.text.startswith("Thank you for saying so: not at <b>Lesson 4</b>")
    assert Pledge.objects.get().state == "no"
    ((back,),) = declined.buttons
    assert back[0] == "I can come after all"
    pledged = press(rosa, back[1], STARTS - HOUR)
    assert pledged.text == "Great, see you at <b>Lesson 4</b>, Thursday 5 March, 17:00."
    assert Pledge.objects.get().state == "yes"
    late = press(rosa, pledged.buttons[0][0][1], STARTS)
    assert late.text == WORDS["en"]["button_too_old"]
    assert Pledge.objects.get().state == "yes"


def test_who_stops_before_the_question_goes_out_was_not_asked() -> None:
    """And is asked once they are back."""
    flags.set_nurture(percent=100)
    course = asks(make.make_course(), 24)
    ahead(course)
    rosa = pupil(course)
    tick()
    assert rosa.chat is not None
    conversation.stop(chat=rosa.chat, now=NOON)
    assert codes() == {"opted_out": 1}
    assert Delivery.objects.get().reason == "opted_out"
    assert not Pledge.objects.exists()

    tick(NOON + HOUR)
    assert codes() == {"opted_out": 1}
    conversation.opt_in(chat=rosa.chat, now=NOON + HOUR)
    tick(NOON + HOUR)
    assert codes() == {"asked": 1}
    assert question().dedupe_key.endswith(":2")


def test_why_tells_that_it_was_a_question() -> None:
    flags.set_nurture(percent=100)
    course = asks(make.make_course(), 24)
    ahead(course)
    rosa = pupil(course)
    tick()
    make.settle(question(), at=NOON)
    assert rosa.chat is not None
    cause = outlook.why_last(contact=rosa, chat=rosa.chat)
    assert cause is not None
    assert cause.fact == "asked"


def test_staff_say_in_the_admin_when_a_course_asks(admin_client: Client) -> None:
    """A change is a new version of the policy, so the pass of that very moment follows it."""
    flags.set_nurture(percent=100)
    course = make.make_course()
    policy = AttendancePolicy.objects.create(course=course)
    session = make.make_session(
        course=course, starts_at=clock.now() + timedelta(days=3), status="scheduled"
    )
    rosa = pupil(course, linked=False)
    url = reverse("admin:attendance_attendancepolicy_change", args=[policy.pk])
    form = admin_client.get(url).context["adminform"].form
    said = {name: value for name, value in form.initial.items() if value not in (None, False)}

    answer = admin_client.post(url, said | {"ask_before_hours": "96"})

    assert answer.status_code == 302
    tick(clock.now())
    row = PledgeQuestion.objects.get()
    assert (row.learner, row.session, row.code) == (rosa.learner, session, "not_linked")
    page = admin_client.get(reverse("admin:nurture_pledgequestion_changelist"))
    assert "No Telegram chat is linked to the learner." in page.content.decode()


def test_the_command_tells_why() -> None:
    course = asks(make.make_course(), 24)
    session, rosa = ahead(course), pupil(course, linked=False)
    flags.set_nurture(percent=100)
    out = StringIO()
    about = [rosa.learner.email, "--session", session.event_id, "--asked", "--json"]

    call_command("explain", *about, "--at", NOON.isoformat(), stdout=out)

    found = json.loads(out.getvalue().splitlines()[-1])
    assert (found["verdict"], found["rule"]) == ("not_linked", "may_ask")
    with pytest.raises(CommandError, match="about a class"):
        call_command("explain", rosa.learner.email, "missed-class", "--asked")
