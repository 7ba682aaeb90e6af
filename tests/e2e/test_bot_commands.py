"""Every command of the bot, from the learner's phone and back, by both ways in (S05)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from playwright.sync_api import Browser, Page, expect

from attendance.models import (
    AttendanceEvent,
    AttendancePolicy,
    ClassSession,
    Learner,
    Pledge,
    ReviewItem,
)
from delivery import clock, inbound_tasks, sender, tasks
from delivery.gateways import Call, Gateway
from delivery.models import Delivery
from delivery.sandbox.app import build_app
from delivery.sandbox.state import World
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from nurture import flags, services
from nurture.models import Contact
from nurture.words import WORDS
from tests.factories import nurture as make
from tests.factories.delivery import aside, make_delivery, send_aside
from tests.factories.privacy import found
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
    """A sandbox that is this process's Telegram; its learner may type faster than Telegram lets."""
    running = Running(build_app(World(token=TOKEN, limits=False)))
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


Handle = Callable[[], object]


@pytest.fixture(params=["polling", "webhook"])
def handle(
    request: pytest.FixtureRequest, box: Running, live_server: Any, stored: threading.Event
) -> Handle:
    """Let what she just did reach telbot by one of the two ways in, and be handled."""
    if request.param == "polling":
        return lambda: call_command("runbot", "--once", stdout=StringIO())
    with override_settings(PUBLIC_URL=live_server.url):
        call_command("runbot", "--webhook", stdout=StringIO())

    def arrived() -> None:
        assert stored.wait(10)
        stored.clear()
        inbound_tasks.work_off()

    return arrived


def touch(box: Running, phone: str, label: str) -> None:
    """Press the button with this label under one of the bot's messages."""
    offered = [
        (row["message_id"], button["callback_data"])
        for row in box.control(phone)["messages"]
        for line in row.get("reply_markup", {}).get("inline_keyboard", [])
        for button in line
        if button["text"] == label
    ]
    message_id, data = offered[-1]
    box.control(f"{phone}/press", {"message_id": message_id, "data": data})


def test_every_command_is_answered_on_the_learners_screen(
    box: Running, phone: str, handle: Handle
) -> None:
    for command in COMMANDS:
        box.control(f"{phone}/text", {"text": command})
        handle()
    sender.drain(gateway, until_empty=True)

    said = heard(box, phone)
    assert len(said) == len(COMMANDS)
    assert not {words["unclear"] for words in WORDS.values()} & set(said)
    assert "Lesson 4" in said[2]  # /schedule
    assert said[-1] == WORDS["es"]["stopped"]  # in the language that she chose


class LosesItsAnswer:
    """The real gateway on a line that breaks after the message has gone out."""

    def __init__(self) -> None:
        self.inner: Gateway = gateway()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def send(self, **call: Any) -> Call:
        """Sent, and nobody knows."""
        await self.inner.send(**call)
        return Call(started=True, cause="ClientConnectionResetError")


def test_a_pressed_button_proves_what_could_not_be_known(box: Running, phone: str) -> None:
    """Promise 3: unknown becomes sent by evidence, is never sent again, and the press counts."""
    contact = Contact.objects.get()
    assert contact.chat is not None
    lesson = ClassSession.objects.latest("starts_at")
    button = ("I will come", f"come:{lesson.pk}")
    row = make_delivery(chat=contact.chat, text="Will you?", buttons=[[button]])
    sender.drain(LosesItsAnswer, until_empty=True)
    row.refresh_from_db()
    assert (row.status, row.reason) == ("unknown", "no_answer")

    (shown,) = box.control(phone)["messages"]
    data = shown["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
    box.control(f"{phone}/press", {"message_id": shown["message_id"], "data": data})
    call_command("runbot", "--once", stdout=StringIO())
    sender.drain(gateway, until_empty=True)

    row.refresh_from_db()
    assert (row.status, row.reason) == ("sent", "")
    assert row.sent_at == row.intent_at
    assert [text for text in heard(box, phone) if text == "Will you?"] == ["Will you?"]
    assert heard(box, phone)[-1].startswith("Great, see you at")
    assert Pledge.objects.get().state == "yes"


MISSED = make.PLAIN + "    buttons: [[{text: I was there, action: dispute}]]\n"
#: What she types, and what she reads then.
STORY = [
    ("/start", "Hello again, Rosa."),
    ("/commit", "Will you come?"),
    ("/schedule", "you said you come"),
    ("/status", "Next class: Lesson 4"),
    ("/next", "No message is planned"),
    ("/why", "You got the last message because"),
    ("/snooze 3d", "Quiet until"),
    ("/resume", "I am back"),
    ("/timezone Europe/Madrid", "I count your hours in Europe/Madrid now"),
    ("/privacy", "What is stored:"),
    ("/help", "/schedule – your next classes"),
    ("/language es", "A partir de ahora te escribo en español"),
    ("/stop", "Hecho: no te escribiré más"),
]


def where_it_is_noon(now: datetime) -> str:
    """A time zone in which nobody is disturbed."""
    return f"Etc/GMT{now.hour - 12:+d}"


@pytest.fixture
def bot(box: Running, live_server: Any, stored: threading.Event) -> Iterator[None]:
    """A worker in a thread: it hears what the webhook stores, and sends what is owed."""
    over = threading.Event()

    def work() -> None:
        try:
            while not over.is_set():
                if stored.wait(0.2):
                    stored.clear()
                    inbound_tasks.work_off()
                    sender.drain(gateway, until_empty=True)
        finally:
            connection.close()

    with override_settings(PUBLIC_URL=live_server.url):
        aside(call_command, "runbot", "--webhook", stdout=StringIO())
    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join(30)


@pytest.fixture
def rosa(bot: None, phone: str) -> Contact:
    """She has been told that she was missed, and asked whether she comes to the next class."""
    contact, now = Contact.objects.get(), clock.now()
    contact.time_zone = where_it_is_noon(now)
    contact.save()
    flags.set_nurture(percent=100)
    make.make_sequence(MISSED)
    AttendanceEvent.objects.update(expires_at=now + timedelta(days=1))
    lesson = ClassSession.objects.latest("starts_at")
    AttendancePolicy.objects.create(course=lesson.course, ask_before_hours=72)
    services.tick(now=now)
    assert Delivery.objects.filter(status="pending").count() == 2
    send_aside()
    return contact


@pytest.mark.browser
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_learner_types_every_command_and_sees_the_answers(
    box: Running, rosa: Contact, chromium: Browser, tmp_path: Path
) -> None:
    """On a phone's width, in light and dark."""
    errors: list[str] = []
    page = chromium.new_page(
        viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(box.url)
    page.get_by_role("button", name="Rosa").click()
    _press_buttons(page)
    for command, answer in STORY:
        box_of_text = page.get_by_label("Message", exact=True)
        box_of_text.fill(command)
        box_of_text.press("Enter")
        expect(page.locator(".bubble").last).to_contain_text(answer, timeout=10_000)
        if command == "/commit":
            _press(page, "I come:", "Great, see you at Lesson 4")
    shades = [_seen(page, scheme, tmp_path) for scheme in ("dark", "light")]
    page.close()

    assert errors == []
    assert shades[0] != shades[1]
    assert ReviewItem.objects.get(kind="dispute").learner == rosa.learner
    assert Pledge.objects.get().state == "yes"
    assert not Delivery.objects.exclude(status="sent").exists()


def _press_buttons(page: Page) -> None:
    """Doubt what was said; say yes, and no after all."""
    _press(page, "I was there", "Thank you for telling us.")
    _press(page, "I will come", "Great, see you at Lesson 4")
    expect(page.get_by_role("button", name="I will come")).to_have_count(0)
    _press(page, "I can't come after all", "Thank you for saying so: not at Lesson 4")


def _press(page: Page, button: str, answer: str) -> None:
    page.get_by_role("button", name=button).first.click()
    expect(page.locator(".bubble").last).to_contain_text(answer, timeout=10_000)


def _seen(page: Page, scheme: Any, folder: Path) -> str:
    """Nothing lies beyond the edge; return the colour behind the words."""
    page.emulate_media(color_scheme=scheme)
    page.screenshot(path=folder / f"bot-{scheme}.png")
    sideways = page.evaluate(
        "Math.max(document.documentElement.scrollWidth - innerWidth,"
        " ...[...document.querySelectorAll('.bubble, .key')]"
        ".map(e => Math.ceil(e.getBoundingClientRect().right) - innerWidth))"
    )
    assert sideways <= 0, f"{scheme}: {sideways} px lie beyond the edge"
    colour: str = page.evaluate(
        "getComputedStyle(document.querySelector('.bubble')).backgroundColor"
    )
    return colour


def test_a_learner_gets_their_data_and_has_it_deleted(
    box: Running, phone: str, handle: Handle
) -> None:
    """P31: the last reply arrives, and then nothing knows who it went to."""
    words, number = WORDS["en"], phone.partition("/")[2]
    learner = Learner.objects.get(contact__chat__telegram_id=number)
    email = learner.email

    def do(act: Callable[[], Any]) -> list[str]:
        before = len(heard(box, phone))
        act()
        handle()
        sender.drain(gateway, until_empty=True)
        return heard(box, phone)[before:]

    (asked,) = do(lambda: box.control(f"{phone}/text", {"text": "/privacy"}))
    assert "What is stored" in asked
    pages = do(lambda: touch(box, phone, words["export_button"]))
    assert pages[-1] == words["export_end"]
    assert all(part in "".join(pages) for part in ("Rosa Diaz", email, number))

    do(lambda: box.control(f"{phone}/text", {"text": "/privacy"}))
    assert do(lambda: touch(box, phone, words["erase_button"])) == [words["erase_ask"]]
    assert do(lambda: touch(box, phone, words["erase_no"])) == [words["erase_kept"]]
    assert Learner.objects.filter(pk=learner.pk, name="Rosa Diaz").exists()

    do(lambda: box.control(f"{phone}/text", {"text": "/privacy"}))
    do(lambda: touch(box, phone, words["erase_button"]))
    assert do(lambda: touch(box, phone, words["erase_yes"])) == [words["erased"]]

    inbound_tasks.work_off()  # rung by the clock as soon as the reply is settled
    assert found("Rosa Diaz", email, number) == {}
    said = do(lambda: box.control(f"{phone}/text", {"text": "/privacy"}))
    assert said == [words["neutral"]]
