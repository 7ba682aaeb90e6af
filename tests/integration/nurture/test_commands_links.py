"""Links that bind a chat to a learner by a single-use token (S05)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from attendance.models import Learner
from delivery import selectors
from delivery.models import Consent
from delivery.services import meet_chat
from nurture import services
from nurture.models import Contact, LinkToken, StaffTask
from nurture.services import links
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def _learner(name: str = "Rosa Luz") -> Learner:
    email = f"{name.split()[0].lower()}@example.com"
    return Learner.objects.create(email=email, email_key=email, name=name, created_at=NOW)


def test_a_link_asks_then_binds_once() -> None:
    """Only the hash is kept; Yes is consent; the link is used up."""
    chat, other = meet_chat(telegram_id=11, now=NOW), meet_chat(telegram_id=12, now=NOW)
    token = links.create(learner=_learner(), now=NOW)
    assert not LinkToken.objects.filter(token_hash__contains=token).exists()
    asked = links.open_link(token=token, chat=chat, now=NOW)
    assert isinstance(asked, links.AskIsThisYou)
    assert asked.name == "Rosa"
    assert not Contact.objects.filter(chat=chat).exists()
    for _ in range(2):
        found = links.confirm(chat=chat, link_id=asked.link_id, yes=True, now=NOW)
        assert isinstance(found, links.Linked)
    assert Consent.objects.get(chat=chat).granted
    assert links.open_link(token=token, chat=other, now=NOW) == links.Refused(reason="used")


def test_a_link_expires_and_a_no_binds_nothing() -> None:
    """Seven days; and "not me" leaves the link to its owner."""
    chat = meet_chat(telegram_id=11, now=NOW)
    token = links.create(learner=_learner(), now=NOW)
    asked = links.open_link(token=token, chat=chat, now=NOW)
    assert isinstance(asked, links.AskIsThisYou)
    refused = links.confirm(chat=chat, link_id=asked.link_id, yes=False, now=NOW)
    assert refused == links.Refused(reason="not_me")
    late = NOW + timedelta(days=7)
    assert links.open_link(token=token, chat=chat, now=late) == links.Refused(reason="expired")
    assert links.open_link(token="guess", chat=chat, now=NOW).__class__ is links.Refused


def test_a_chat_of_somebody_else_is_left_to_staff() -> None:
    """Nothing is moved by a link."""
    chat = meet_chat(telegram_id=11, now=NOW)
    Contact.objects.create(learner=_learner("Ana Paz"), chat=chat)
    token = links.create(learner=_learner(), now=NOW)
    assert links.open_link(token=token, chat=chat, now=NOW) == links.Refused(reason="conflict")
    assert StaffTask.objects.get().kind == "link_conflict"
    assert Contact.objects.get(chat=chat).learner.name == "Ana Paz"


def test_a_learner_with_another_chat_is_left_to_staff() -> None:
    """A forwarded link does not take a learner over."""
    learner = _learner()
    Contact.objects.create(learner=learner, chat=meet_chat(telegram_id=11, now=NOW))
    token = links.create(learner=learner, now=NOW)
    thief = meet_chat(telegram_id=12, now=NOW)
    assert links.open_link(token=token, chat=thief, now=NOW) == links.Refused(reason="conflict")


def test_the_command_names_the_bot_as_telegram_does(settings: Any) -> None:
    settings.BOT_TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    _learner()
    told = StringIO()

    with receiving(Receiver()) as receiver:
        settings.TELEGRAM_API_URL = receiver.url
        call_command("invite_link", "rosa@example.com", stdout=told)

    assert told.getvalue().startswith("https://t.me/t_bot?start=")
    assert selectors.bot_username() == "t_bot"


def test_a_pass_asks_for_the_bots_name_where_a_text_says_it(settings: Any) -> None:
    """Nobody ran doctor or runbot: a text with {{ bot_username }} must not be held back."""
    settings.BOT_TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    source = "sequence: s\nsteps: [{key: a, wait: {after: 0m}, text: '@{{ bot_username }}'}]"
    sequence = services.import_sequence(source=source, now=NOW).sequence

    with receiving(Receiver()) as receiver:
        settings.TELEGRAM_API_URL = receiver.url
        call_command("tick", stdout=StringIO())
        asked_for_a_draft = receiver.probes
        services.publish(sequence=sequence, now=NOW)
        call_command("tick", stdout=StringIO())
        call_command("tick", stdout=StringIO())

    assert (asked_for_a_draft, receiver.probes) == (0, 1)
    assert selectors.bot_username() == "t_bot"


def test_without_an_answer_of_telegram_no_link_is_made(settings: Any) -> None:
    settings.BOT_TOKEN = "123456:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    settings.TELEGRAM_API_URL = "http://127.0.0.1:1"
    _learner()

    with pytest.raises(CommandError, match="does not answer"):
        call_command("invite_link", "rosa@example.com")
    assert not LinkToken.objects.exists()
