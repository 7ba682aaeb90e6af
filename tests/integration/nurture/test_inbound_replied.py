"""A learner who answers ends or moves on what waits for an answer (P07, P12)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from attendance.models import AttendanceEvent, Pledge, ReviewItem
from delivery.inbound import InboundButton, InboundMessage
from delivery.models import Delivery
from nurture import flags, services
from nurture.inbound import handle
from nurture.models import Contact, Journey, StaffTask
from nurture.services import events, holding
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db

LATER = make.NOW + timedelta(hours=1)
EXITS = make.PLAIN.replace("steps:", "exit_when: [replied]\nsteps:")
WAITS = make.PLAIN.replace(
    "steps:",
    "steps:\n  - {key: listen, kind: wait, wait: {until_event: replied, or_after: 2d}}",
)


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


@pytest.fixture
def contact() -> Contact:
    """Rosa, who missed a class."""
    found = make.make_contact()
    make.make_fact(contact=found)
    return found


def _sender(contact: Contact) -> dict[str, Any]:
    assert contact.chat
    person = contact.chat.telegram_id
    return {"update_id": 1, "chat_id": person, "user_id": person, "first_name": "R",
            "language_code": "en"}  # fmt: skip


def _write(contact: Contact) -> None:
    handle(InboundMessage(**_sender(contact), text="hi"), now=LATER)


def test_an_answer_ends_a_journey_that_says_so(contact: Contact) -> None:
    """What it still owed is withdrawn."""
    make.make_sequence(EXITS)
    services.tick(now=make.NOW)

    _write(contact)

    journey = Journey.objects.get()
    assert (journey.status, journey.exit_reason) == ("exited", "exit_fact")
    assert Delivery.objects.get().status == "cancelled"


def test_an_answer_ends_the_wait_for_it_once(contact: Contact) -> None:
    """The next step counts from that moment; a second answer changes nothing."""
    make.make_sequence(WAITS)
    services.tick(now=make.NOW)
    assert not Delivery.objects.exists()

    _write(contact)
    _write(contact)

    assert Delivery.objects.get().due_at == LATER


def test_an_answer_leaves_other_journeys_alone(contact: Contact) -> None:
    """Only what asks for an answer heeds it."""
    make.make_sequence()
    services.tick(now=make.NOW)

    _write(contact)

    assert Journey.objects.get().status == "active"
    assert Delivery.objects.get().status == "pending"


def test_a_dispute_is_kept_although_the_answer_ends_the_journey(contact: Contact) -> None:
    """The button does its work first."""
    make.make_sequence(EXITS)
    services.tick(now=make.NOW)
    owed = Delivery.objects.get()

    button = InboundButton(
        **_sender(contact), action="dispute", delivery_id=owed.pk, callback_id="c"
    )
    (reply,) = handle(button, now=LATER)

    assert ReviewItem.objects.count() == 1
    assert "no longer" not in reply.text
    assert Journey.objects.get().exit_reason == "exit_fact"


def test_a_journey_that_breaks_leaves_nobody_without_an_answer(
    contact: Contact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held and given to staff; what the learner said is kept."""

    def breaks(**_: object) -> bool:
        raise RuntimeError("broken")

    fact = AttendanceEvent.objects.get()
    following = make.make_session(
        course=fact.session.course, starts_at=LATER + timedelta(days=2), status="scheduled"
    )
    make.make_sequence(EXITS.replace("    text:", "    when: {not: pledged_next}\n    text:"))
    services.tick(now=make.NOW)
    monkeypatch.setattr(events, "exit_journey", breaks)
    monkeypatch.setattr(holding, "thaw", breaks)
    come = InboundButton(
        **_sender(contact), action=f"come:{following.pk}", delivery_id=None, callback_id="c"
    )

    for said in (come, InboundMessage(**_sender(contact), text="/status", command="status")):
        Journey.objects.update(status="active", paused_at=None)
        assert handle(said, now=LATER)
        assert Journey.objects.get().status == "paused"

    assert Pledge.objects.get().state == "yes"
    assert StaffTask.objects.count() == 1
