"""P26, N07, N12, S05: one page for a learner: what happened, what will, why; an invitation."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from attendance.models import Learner, LearnerIdentity, Pledge
from delivery import clock
from delivery.models import Delivery, Installation
from delivery.services import close_gate, set_consent
from delivery.services.installation import arm, remember_bot
from nurture.models import Contact, Journey, LinkToken, StaffTask
from nurture.services import links, tick
from nurture.services.learner_page import learner_page
from nurture.services.roles import set_up_roles
from tests.factories import nurture as make
from tests.factories.delivery import make_chat, make_delivery

pytestmark = pytest.mark.django_db
QUERIES = 12  # the whole page, with session, user and permissions


def staff(role: str) -> Client:
    """Somebody with a role, logged in."""
    set_up_roles()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def page_of(contact: Contact) -> str:
    """The address of the page."""
    return reverse("admin:attendance_learner_change", args=[contact.learner_id])


def read(client: Client, address: str) -> str:
    """What a page says."""
    answer = client.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def missed(contact: Contact) -> Journey:
    """A journey that a missed class began, its first message planned."""
    at = clock.now()
    make.make_sequence()
    held = make.make_session(starts_at=at - timedelta(hours=5))
    make.make_fact(contact=contact, session=held)
    tick(now=at)
    return Journey.objects.get(learner=contact.learner)


@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_500_deliveries_take_no_more_queries_than_none(role: str) -> None:
    contact = make.make_contact(time_zone="America/Bogota")
    missed(contact)
    for number in range(500):
        row = make_delivery(chat=contact.chat, dedupe_key=f"many:{number}")
        if number % 10:
            make.settle(row, at=clock.now() - timedelta(hours=number))
    client = staff(role)
    read(client, reverse("admin:index"))

    with CaptureQueriesContext(connection) as seen:
        page = read(client, page_of(contact))

    assert len(seen) <= QUERIES, [row["sql"][:80] for row in seen]
    assert "All 450" in page


def test_what_was_sent_and_what_is_planned_are_told_on_the_learners_clock() -> None:
    contact = make.make_contact(time_zone="America/Bogota")
    at = clock.now().replace(hour=14, minute=0)
    make_delivery(chat=contact.chat, text="This one waits.", due_at=at + timedelta(days=2))
    make.settle(make_delivery(chat=contact.chat, text="This one went."), at=at - timedelta(days=1))

    page = read(staff("viewer"), page_of(contact))

    assert page.index("This one waits.") < page.index("This one went.")
    assert f"{at + timedelta(days=2):%a %d %b %Y}, 09:00 Bogota there" in page
    assert f"{at - timedelta(days=1):%a %d %b %Y}, 09:00 Bogota there" in page


def test_everything_that_concerns_a_learner_is_on_the_page() -> None:
    contact = make.make_contact(name="Rosa Maro")
    journey = missed(contact)
    coming = make.make_session(starts_at=clock.now() + timedelta(days=1), title="Lesson 5")
    Pledge.objects.create(
        learner=contact.learner, session=coming, state="yes", answered_at=clock.now()
    )
    StaffTask.objects.create(
        kind="handover", key="k", learner=contact.learner, note="Call her.", created_at=clock.now()
    )
    LearnerIdentity.objects.create(
        learner=contact.learner, kind="alias", value_key="rosa@other.example", status="verified",
        created_at=clock.now(),
    )  # fmt: skip

    page = read(staff("operator"), page_of(contact))

    for said in (
        "Rosa Maro", contact.learner.email, "can be written to", "We missed you, version 1",
        "missed: Lesson 4", "Lesson 5", "will come", "Call her.", "rosa@other.example",
        "Not seen in a class whose records are complete.", "Pause all journeys",
        reverse("admin:nurture_journey_change", args=[journey.pk]),
    ):  # fmt: skip
        assert said in page, said
    assert "rosa@other.example" not in read(staff("viewer"), page_of(contact))


def test_what_is_held_says_by_what() -> None:
    contact = make.make_contact()
    make_delivery(chat=contact.chat, due_at=clock.now() + timedelta(days=1))
    close_gate(key="bot", reason="Telegram is down", by="ann")
    assert "Telegram is down" in read(staff("viewer"), page_of(contact))


def test_a_learner_without_chat_has_a_page_that_says_so() -> None:
    contact = make.make_contact(linked=False)
    page = read(staff("viewer"), page_of(contact))
    assert "No Telegram chat is linked to the learner." in page
    assert "Nothing is planned." in page


@pytest.mark.parametrize(
    ("said", "reason"), [("blocked", "cannot be reached"), ("stop", "has said stop")]
)
def test_who_cannot_be_written_to_says_why(said: str, reason: str) -> None:
    chat = make_chat(reachability="blocked" if said == "blocked" else "ok")
    if said == "stop":
        set_consent(chat=chat, category="", granted=False, source="stop", now=clock.now())
    contact = make.make_contact(linked=False, chat=chat)
    assert learner_page(learner_id=contact.learner_id).silent is not None
    assert reason in read(staff("viewer"), page_of(contact))
    assert reason in read(staff2(), reverse("admin:attendance_learner_changelist"))


def staff2() -> Client:
    """The same viewer, once more."""
    client = Client()
    client.force_login(User.objects.get(username="viewer"))
    return client


def test_why_not_names_the_deciding_rule_and_what_would_change_it() -> None:
    contact = make.make_contact(linked=False)
    make.make_sequence()
    address = reverse("admin:attendance_learner_why", args=[contact.learner_id])

    page = read(staff("viewer"), f"{address}?sequence=missed-class")

    first, rest = page.split("Every rule in its order")
    assert "No Telegram chat is linked to the learner." in first
    assert "Is a Telegram chat linked?" in first
    assert "Send the learner an invitation" in first
    assert "Is the sequence published and live?" in rest


def test_why_is_asked_of_sequences_that_exist() -> None:
    contact = make.make_contact()
    address = reverse("admin:attendance_learner_why", args=[contact.learner_id])
    assert staff("viewer").get(f"{address}?sequence=nothing").status_code == 404


def test_the_next_fourteen_days_are_foreseen_and_nothing_is_written() -> None:
    contact = make.make_contact()
    journey = missed(contact)
    assert journey.waiting_on is not None
    address = reverse("admin:attendance_learner_forecast", args=[contact.learner_id])

    page = read(staff("viewer"), address)

    assert "we missed you in Lesson 4" in page
    assert Delivery.objects.get().status == "pending"


def test_a_name_is_changed_on_a_page_of_its_own() -> None:
    contact = make.make_contact()
    client = staff("admin")
    address = reverse("admin:attendance_learner_edit", args=[contact.learner_id])
    assert 'name="name"' in read(client, address)

    data = {"name": "Rosa Maro"}
    for inline in ("outcomes", "identities", "enrolments"):
        data |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    answer = client.post(address, data)

    assert answer["Location"] == page_of(contact)
    contact.learner.refresh_from_db()
    assert contact.learner.name == "Rosa Maro"


def test_who_may_only_look_is_offered_nothing_else() -> None:
    contact = make.make_contact()
    missed(contact)
    page = read(staff("viewer"), page_of(contact))
    contact.chat = None
    contact.save()
    page += read(staff2(), page_of(contact))
    for button in (
        "Pause all journeys",
        "Make an invitation",
        "Erase",
        "Export everything",
        ">Edit<",
    ):
        assert button not in page, button
    edit = reverse("admin:attendance_learner_edit", args=[contact.learner_id])
    assert 'name="name"' not in read(staff2(), edit)


@pytest.mark.parametrize(("role", "sees"), [("viewer", False), ("operator", True)])
def test_by_what_somebody_is_recognised_is_for_who_may_see_it(role: str, sees: bool) -> None:
    """P28: neither on the page of a learner nor on that of the form."""
    contact = make.make_contact()
    LearnerIdentity.objects.create(
        learner=contact.learner, kind="alias", value_key="rosa.home@mail.example",
        status="staff_confirmed", created_at=clock.now(),
    )  # fmt: skip
    client = staff(role)
    edit = reverse("admin:attendance_learner_edit", args=[contact.learner_id])
    for page in (page_of(contact), edit):
        assert ("rosa.home@mail.example" in read(client, page)) is sees


def invitation_of(contact: Contact) -> str:
    """Where an invitation is made."""
    return reverse("admin:attendance_learner_invite", args=[contact.learner_id])


def test_staff_make_an_invitation_that_is_shown_once(caplog: pytest.LogCaptureFixture) -> None:
    contact, now = make.make_contact(name="Rosa Maro", linked=False), clock.now()
    arm(now=now)
    remember_bot(username="t_bot")
    client = staff("operator")
    caplog.set_level("DEBUG")
    assert "Make an invitation link" in read(client, page_of(contact))

    answer = client.post(invitation_of(contact))

    found = re.search(r"https://t\.me/t_bot\?start=([\w-]{22})\b", answer.content.decode())
    assert found
    assert "no-store" in answer["Cache-Control"]
    row, line = LinkToken.objects.get(), LogEntry.objects.get()
    assert (row.learner_id, row.used_at) == (contact.learner_id, None)
    assert now + links.LIFE <= row.expires_at <= clock.now() + links.LIFE
    assert (line.get_change_message(), line.user.username) == (
        "made an invitation link",
        "operator",
    )
    token = found[1]
    assert client.get(invitation_of(contact))["Location"] == page_of(contact)
    for said in (read(client, page_of(contact)), caplog.text, str(vars(line)), str(vars(row))):
        assert token not in said
    chat = make_chat()
    asked = links.open_link(token=token, chat=chat, now=now)
    assert isinstance(asked, links.AskIsThisYou)
    assert asked.name == "Rosa"
    confirmed = links.confirm(chat=chat, link_id=asked.link_id, yes=True, now=now)
    assert isinstance(confirmed, links.Linked)
    assert links.open_link(token=token, chat=make_chat(), now=now) == links.Refused(reason="used")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("linked", "a chat is linked already"),
        ("nameless", "manage.py doctor asks for it"),
        ("erased", "everything personal of this learner was erased"),
        ("copied", "does not send"),
    ],
)
def test_an_invitation_that_would_lead_nowhere_is_not_made(why: str, said: str) -> None:
    contact = make.make_contact(linked=why == "linked")
    arm(now=clock.now())
    remember_bot(username="" if why == "nameless" else "t_bot")
    if why == "erased":
        Learner.objects.update(erased_at=clock.now())
    if why == "copied":
        Installation.objects.update(system_identifier="another server")

    answer: Any = staff("operator").post(invitation_of(contact), follow=True)

    assert "No link was made: " in answer.content.decode()
    assert said in answer.content.decode()
    assert not LinkToken.objects.exists()
    assert not LogEntry.objects.exists()


def test_who_may_not_invite_makes_no_link() -> None:
    contact = make.make_contact(linked=False)
    assert staff("author").post(invitation_of(contact)).status_code == 403
    assert not LinkToken.objects.exists()
