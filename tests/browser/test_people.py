"""P26, N07, N12, P15, S05: a learner's page and the work queues as staff use them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from playwright.sync_api import Browser

from attendance.models import Enrolment, LearnerIdentity, Pledge
from delivery import clock
from delivery.models import Attempt, Delivery
from delivery.services import set_consent
from delivery.services.installation import arm, remember_bot
from nurture import flags
from nurture.models import Contact, Journey, StaffTask
from nurture.services import tick
from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WINDOW = "window: {opens: '00:00', closes: '23:59'}\nsteps:"


def rosa(*, tomorrow: bool = True) -> Contact:
    """A learner of Bogotá who missed a class; her first message is planned for tomorrow."""
    flags.set_nurture(percent=100)
    contact = make.make_contact(name="Rosa Maro", time_zone="America/Bogota")
    source = make.PLAIN.replace("steps:", WINDOW)
    if tomorrow:
        source = source.replace("key: hello\n", "key: hello\n    wait: {after: 1d}\n")
    make.make_sequence(source)
    held = make.make_session(starts_at=clock.now() - timedelta(hours=5))
    make.make_fact(contact=contact, session=held)
    return contact


def in_doubt(text: str) -> Delivery:
    """A delivery of which nobody knows whether it arrived."""
    row, at = make_delivery(text=text), clock.now() - timedelta(hours=1)
    make.settle(row, at=at, status="unknown", reason="no_answer")
    Attempt.objects.create(
        delivery=row, fence=1, started_at=at, finished_at=at + timedelta(seconds=20),
        outcome="unknown", description="timed out",
    )  # fmt: skip
    return row


def test_a_learners_page_is_for_everybody_and_answers_in_place(
    desk_of: Callable[[str], Desk],
) -> None:
    contact = rosa()
    tick(now=clock.now())
    learner, at = contact.learner, clock.now()
    make.settle(make_delivery(chat=contact.chat, text="Welcome!"), at=at - timedelta(days=3))
    coming = make.make_session(starts_at=at + timedelta(days=1), title="Lesson 5")
    Pledge.objects.create(learner=learner, session=coming, state="yes", answered_at=at)
    StaffTask.objects.create(
        kind="handover", key="k", learner=learner, note="Call her.", created_at=at
    )
    LearnerIdentity.objects.create(
        learner=learner, kind="email", value_key=learner.email, status="verified", created_at=at
    )
    Enrolment.objects.create(learner=learner, course=coming.course)  # beside her first course
    desk = desk_of("admin")

    page = desk.open(reverse("admin:attendance_learner_change", args=[learner.pk]))
    page.click("text=Show what is coming")
    page.wait_for_selector("#ahead-lines >> text=We missed you")
    page.focus("#sequence")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector("#answer >> text=What became of its message?")

    assert "Bogota there" in page.inner_text("#coming + p + .tb-scroll")
    assert page.url.endswith(reverse("admin:attendance_learner_change", args=[learner.pk]))
    desk.check("learner")


def test_an_invitation_is_made_and_copied(desk_of: Callable[[str], Desk]) -> None:
    """S05: two presses; what is in the clipboard is what is shown."""
    contact = make.make_contact(name="Rosa Maro", linked=False)
    arm(now=clock.now())
    remember_bot(username="t_bot")
    desk = desk_of("operator")

    page = desk.open(reverse("admin:attendance_learner_change", args=[contact.learner_id]))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("text=Make an invitation link")
    page.click("button:has-text('Copy')")
    page.wait_for_selector("text=Copied.")

    shown = page.input_value("#link")
    assert shown.startswith("https://t.me/t_bot?start=")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    desk.check("invitation")


def test_journeys_of_a_learner_are_paused_and_go_on_again(desk_of: Callable[[str], Desk]) -> None:
    contact = rosa()
    tick(now=clock.now())
    desk = desk_of("operator")

    page = desk.open(reverse("admin:attendance_learner_change", args=[contact.learner_id]))
    page.click("text=Pause all journeys…")
    page.wait_for_selector("text=1 planned messages are withdrawn.")
    desk.check("pause")
    page.click("button:has-text('Pause 1')")
    page.wait_for_selector("text=1 paused.")
    desk.check("paused")
    assert Journey.objects.get().status == "paused"
    page.click("button:has-text('Undo')")
    page.wait_for_selector("text=Let 1 journeys go on?")
    page.click("button:has-text('Let 1 go on')")
    page.wait_for_selector("text=1 go on.")

    assert Journey.objects.get().status == "active"


def test_what_cannot_be_known_is_decided_one_by_one_and_together(
    desk_of: Callable[[str], Desk],
) -> None:
    first, second, third = (in_doubt(f"Where were you, {n}?") for n in "abc")
    desk = desk_of("operator")

    page = desk.open(reverse("admin:delivery_unknowndelivery_changelist"))
    assert "timed out" in page.inner_text("#result_list")
    desk.check("unknown-queue")
    page.click("text=Where were you, a?")
    page.wait_for_selector("text=It arrived…")
    desk.check("unknown-one")
    page.click("button:has-text('It arrived…')")
    page.click("button:has-text('Yes, all 1')")
    page.wait_for_selector("text=1 now count as sent")
    for row in (second, third):
        page.check(f'input[name="_selected_action"][value="{row.pk}"]')
    page.select_option('select[name="action"]', "drop")
    page.keyboard.press("Escape")
    page.click('button[name="index"]')
    page.wait_for_selector("text=Drop 2?")
    page.click("button:has-text('Drop 2')")
    page.wait_for_selector("text=Nothing is in doubt")
    desk.check("unknown-queue-empty")

    found = dict(Delivery.objects.values_list("pk", "status"))
    assert [found[row.pk] for row in (first, second, third)] == ["sent", "cancelled", "cancelled"]


def test_somebody_finds_out_why_rosa_got_nothing(chromium: Browser, live_server: Any) -> None:
    """From the login to the answer: she said stop, and only she can change that."""
    contact = rosa(tomorrow=False)
    assert contact.chat is not None
    set_consent(chat=contact.chat, category="", granted=False, source="stop", now=clock.now())
    tick(now=clock.now())
    set_up_roles()
    ann = User.objects.create_user("ann", password="a long password", is_staff=True)
    ann.groups.add(Group.objects.get(name="viewer"))
    context = chromium.new_context()
    desk = Desk(context, live_server.url)

    page = desk.open(reverse("admin:index"))
    page.fill("#id_username", "ann")
    page.fill("#id_password", "a long password")
    page.keyboard.press("Enter")
    page.click("a:has-text('Learners') >> visible=true")
    page.fill("#searchbar", "maro")
    page.keyboard.press("Enter")
    page.click("#result_list >> text=Rosa Maro")
    page.wait_for_selector("h1:has-text('Rosa Maro')")
    assert "cannot be written to\nThe learner has said stop." in page.inner_text("#content")
    page.select_option("#sequence", label="We missed you")
    page.click("button:has-text('Explain')")
    page.wait_for_selector("#answer >> text=What would change it")
    told = page.inner_text("#answer")
    desk.check("why-rosa-got-nothing")

    assert told.index("The learner has said stop.") < told.index("Is the learner known?")
    assert "Has the learner agreed to such messages?" in told
    assert "by sending /start to the bot" in told
    context.close()
