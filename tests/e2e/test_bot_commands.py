"""Every command of the bot, from the learner's phone and back, by both ways in (S05)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from delivery import clock, inbound_tasks, sender, tasks
from delivery.sandbox.app import build_app
from delivery.sandbox.state import World
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from nurture.words import WORDS
from tests.factories import nurture as make
from tests.integration.delivery.test_inbound_runbot import Running

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
TOKEN = "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
COMMANDS = [
    "/start", "/status", "/schedule", "/commit", "/next", "/why", "/snooze 3d", "/resume",
    "/timezone Europe/Madrid", "/language es", "/address rosa@gmail.com", "/privacy", "/help",
    "/stop",
]  # fmt: skip


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the webhook has stored something; nobody else hears the bells here."""
    event = threading.Event()
    monkeypatch.setattr(tasks, "ring", lambda: None)
    monkeypatch.setattr(inbound_tasks, "ring", event.set)
    return event


@pytest.fixture
def box(stored: threading.Event) -> Iterator[Running]:
    """A sandbox that is this process's Telegram."""
    running = Running(build_app(World(token=TOKEN)))
    with override_settings(
        BOT_TOKEN=TOKEN, TELEGRAM_API_URL=running.url, STAGING_ALLOWED_CHATS=None,
        TELEGRAM_SENDS_PER_SECOND=500.0, TELEGRAM_SENDS_PER_SECOND_PER_CHAT=100.0,
        TELEGRAM_WEBHOOK_SECRET="a-Secret_1",
    ):  # fmt: skip
        ensure_pacing()
        yield running
    running.close()


@pytest.fixture
def phone(box: Running) -> str:
    """The control address of a learner with a class to come."""
    contact = make.make_contact()
    fact = make.make_fact(contact=contact)
    make.make_session(
        course=fact.session.course, starts_at=clock.now() + timedelta(days=2), status="scheduled"
    )
    assert contact.chat is not None
    person = {"id": contact.chat.telegram_id, "first_name": "Rosa", "started": True}
    box.control("people", person)
    return f"people/{contact.chat.telegram_id}"


def heard(box: Running, phone: str) -> list[str]:
    """What the bot has said on her screen."""
    messages = box.control(phone)["messages"]
    return [row["text"] for row in messages if row["from"]["is_bot"]]


@pytest.mark.parametrize("way", ["polling", "webhook"])
def test_every_command_is_answered_on_the_learners_screen(
    box: Running, phone: str, way: str, live_server: Any, stored: threading.Event
) -> None:
    if way == "webhook":
        with override_settings(PUBLIC_URL=live_server.url):
            call_command("runbot", "--webhook", stdout=StringIO())
    for command in COMMANDS:
        stored.clear()
        box.control(f"{phone}/text", {"text": command})
        if way == "webhook":
            assert stored.wait(10)
            inbound_tasks.work_off()
        else:
            call_command("runbot", "--once", stdout=StringIO())
    sender.drain(gateway, until_empty=True)

    said = heard(box, phone)
    assert len(said) == len(COMMANDS)
    assert not {words["unclear"] for words in WORDS.values()} & set(said)
    assert "Lesson 4" in said[2]  # /schedule
    assert said[-1] == WORDS["es"]["stopped"]  # in the language that she chose
