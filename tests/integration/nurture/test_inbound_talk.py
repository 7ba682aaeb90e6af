"""What the bot answers, and to whom it says nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attendance.models import Learner, ReviewItem
from attendance.services import review
from delivery.inbound import InboundButton, InboundMessage, Reply, split_command
from delivery.models import Chat, Delivery
from delivery.services import has_consent, meet_chat, snooze
from nurture.inbound import handle
from nurture.models import Contact, Journey
from nurture.services import links
from nurture.words import WORDS
from tests.factories.delivery import make_delivery

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHAT = 77


def _write(text: str, **overrides: Any) -> Reply:
    meet_chat(telegram_id=CHAT, now=NOW)
    command, argument = split_command(text)
    values: dict[str, Any] = {
        "update_id": 1, "chat_id": CHAT, "user_id": CHAT, "first_name": "R",
        "language_code": "en", "text": text, "command": command, "argument": argument,
    } | overrides  # fmt: skip
    (reply,) = handle(InboundMessage(**values), now=NOW)
    return reply


def _press(action: str, delivery_id: int | None = None) -> Reply:
    meet_chat(telegram_id=CHAT, now=NOW)
    button = InboundButton(
        update_id=2, chat_id=CHAT, user_id=CHAT, first_name="R", language_code="en",
        action=action, delivery_id=delivery_id, callback_id="c",
    )  # fmt: skip
    (reply,) = handle(button, now=NOW)
    return reply


@pytest.fixture
def learner() -> Learner:
    """Rosa, not linked yet."""
    return Learner.objects.create(
        email="rosa@x.org", email_key="rosa@x.org", name="Rosa <Luz>", created_at=NOW
    )


def _asked(token: str) -> tuple[str, str]:
    """The link is followed: the buttons "that is me" and "not me"."""
    ((_, yes), (_, no)) = _write(f"/start {token}").buttons[0]
    return yes, no


@pytest.fixture
def contact(learner: Learner) -> Contact:
    """Rosa, linked and consenting."""
    token = links.create(learner=learner, now=NOW)
    _press(_asked(token)[0])
    return Contact.objects.get(learner=learner)


def test_unknown_people_get_one_sentence_whatever_they_send(learner: Learner) -> None:
    """Nothing tells a stranger who is a learner here, nor whether a token was near."""
    said = {
        _write(text).text
        for text in ("/start", "/start guess", "/status", "/stop", "/help", "/privacy", "hi")
    }
    said |= {_press(action, 1).text for action in ("dispute", "pledge_next", "optin", "link_yes:1")}
    said.add(_press("link_yes:" + "9" * 50).text)
    assert len(said) == 1


def test_linking_by_token(learner: Learner) -> None:
    """Asks first, then binds; again is idempotent."""
    token = links.create(learner=learner, now=NOW)
    asked = _write(f"/start {token}")
    assert "Rosa" in asked.text
    yes, no = (action for _, action in asked.buttons[0])
    assert "Rosa" in _press(yes).text
    chat = Chat.objects.get(telegram_id=CHAT)
    assert has_consent(chat=chat, category="")
    assert "Rosa" in _write(f"/start {token}").text
    assert not _write("/start").buttons
    assert _press(no).text == WORDS["en"]["button_too_old"]  # pressed right after the other one
    assert Contact.objects.get(learner=learner).chat == chat


def test_a_yes_counts_for_the_link_that_was_asked_about(learner: Learner) -> None:
    """A phone on which two learners' links were opened: nobody becomes the other one."""
    other = Learner.objects.create(
        email="ana@x.org", email_key="ana@x.org", name="Ana Paz", created_at=NOW
    )
    rosa_yes, _ = _asked(links.create(learner=learner, now=NOW))
    ana_yes, _ = _asked(links.create(learner=other, now=NOW))

    assert _press(rosa_yes).text == WORDS["en"]["neutral"]
    assert not Contact.objects.filter(chat__isnull=False).exists()

    assert "Ana" in _press(ana_yes).text
    assert _press(rosa_yes).text == WORDS["en"]["button_too_old"]
    assert Contact.objects.get(chat__telegram_id=CHAT).learner == other


def test_an_old_yes_after_stop_promises_no_messages(learner: Learner) -> None:
    yes, _ = _asked(links.create(learner=learner, now=NOW))
    _press(yes)
    _write("/stop")
    again = _press(yes)
    assert again.buttons[0][0][1] == "optin"
    assert not has_consent(chat=Chat.objects.get(), category="")


def test_a_chat_comes_without_the_silence_of_whoever_had_it(learner: Learner) -> None:
    chat = meet_chat(telegram_id=CHAT, now=NOW)
    snooze(chat=chat, until=NOW + timedelta(days=30))
    _press(_asked(links.create(learner=learner, now=NOW))[0])
    assert Chat.objects.get().snoozed_until is None


def test_privacy_names_also_what_was_written_here(contact: Contact) -> None:
    """It is kept for 90 days, and is part of what is sent to who asks."""
    assert "what you wrote" in _write("/privacy").text


def test_a_picture_is_answered_too(contact: Contact) -> None:
    assert _write("").text == WORDS["en"]["unclear"]


@pytest.mark.parametrize("word", ["/stop", "Stop", "unsubscribe", "STOP!", "/stop!", "¡Baja!"])
def test_stop_cancels_and_start_offers_the_way_back(contact: Contact, word: str) -> None:
    """Starting again re-opts-in through the button only."""
    assert contact.chat is not None
    owed = make_delivery(chat=contact.chat)
    assert "/start" in _write(word).text
    owed.refresh_from_db()
    assert (owed.status, owed.reason) == ("cancelled", "opted_out")
    offer = _write("/start")
    assert not has_consent(chat=contact.chat, category="")
    assert offer.buttons[0][0][1] == "optin"
    _press("optin")
    assert has_consent(chat=contact.chat, category="")


def test_status_counts_what_is_planned(contact: Contact) -> None:
    """Without a class, one message, and consent."""
    make_delivery(chat=contact.chat)
    said = _write("/status").text
    assert "No next class" in said
    assert "One message" in said


def test_the_answers_are_in_the_learners_language(contact: Contact) -> None:
    """The contact's language first, then Telegram's."""
    assert "próximo" in _write("/help", language_code="es").text
    Contact.objects.update(language="en")
    assert "próximo" not in _write("/help", language_code="es").text


@pytest.mark.parametrize("action", ["dispute", "pledge_next", "nonsense"])
def test_a_button_of_another_chats_message_does_nothing(contact: Contact, action: str) -> None:
    """Clients may send any data."""
    foreign = make_delivery()
    assert "no longer" in _press(action, foreign.pk).text
    assert not Journey.objects.exists()
    assert Delivery.objects.get(pk=foreign.pk).status == "pending"


def test_groups_are_not_answered() -> None:
    """A link opened in a group would bind everybody in it."""
    meet_chat(telegram_id=-5, now=NOW)
    message = InboundMessage(
        update_id=3, chat_id=-5, user_id=CHAT, first_name="R", language_code="en", text="/start"
    )
    assert handle(message, now=NOW) == ()


@pytest.mark.parametrize("text", ["/address Rosa.Private@gmail.com", "rosaprivate@gmail.com"])
def test_a_named_address_goes_to_a_person_and_counts_only_then(contact: Contact, text: str) -> None:
    """N04: whether it belongs to somebody else is not told."""
    assert "Somebody at the school" in _write(text).text

    item = ReviewItem.objects.get(kind="address", learner=contact.learner)
    assert item.mark == "email:rosaprivate@gmail.com"
    assert item.evidence["taken"] is False
    assert not contact.learner.identities.filter(status="verified").exists()


def test_an_address_that_staff_refused_is_not_said_to_be_looked_at(contact: Contact) -> None:
    """Nobody is asked twice, so nobody will."""
    _write("/address rosaprivate@gmail.com")
    item = ReviewItem.objects.get(kind="address")
    review.decide(item=item, choice="reject", by="eve", now=NOW)
    assert _write("/address rosaprivate@gmail.com").text == WORDS["en"]["address_answered"]
    assert ReviewItem.objects.filter(state="open").count() == 0


@pytest.mark.parametrize(
    ("text", "answer"),
    [("/address", "Which Google address"), ("/address rosa", "not a whole e-mail address")],
)
def test_what_is_no_address_is_asked_for_again(contact: Contact, text: str, answer: str) -> None:
    assert answer in _write(text).text
    assert not ReviewItem.objects.exists()


def test_a_stranger_who_names_an_address_learns_nothing() -> None:
    neutral = _write("hello").text

    assert _write("rosa@x.org").text == neutral
    assert not ReviewItem.objects.exists()
