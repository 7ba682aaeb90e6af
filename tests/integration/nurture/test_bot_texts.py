"""What staff change of the bot's own words, and what they may not (S05)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from delivery.inbound import InboundMessage, split_command
from nurture import voice
from nurture.inbound import handle
from nurture.models import BotText, Contact
from nurture.services import bot_texts
from nurture.words import BUTTONS, WORDS, slots
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
NOW = make.NOW
LIST = "admin:nurture_bottext_changelist"


def change(key: str, text: str, language: str = "en") -> None:
    """Staff save this."""
    bot_texts.change(key=key, language=language, text=text, by="ana", now=NOW)


def answer(contact: Contact, text: str) -> str:
    """What the bot answers."""
    assert contact.chat is not None
    command, argument = split_command(text)
    chat = contact.chat.telegram_id
    (reply,) = handle(
        InboundMessage(
            update_id=1, chat_id=chat, user_id=chat, first_name="R", language_code="en",
            text=text, command=command, argument=argument,
        ),
        now=NOW,
    )  # fmt: skip
    return reply.text


@pytest.fixture
def author() -> User:
    user = User.objects.create_user("author", password="x", is_staff=True)
    for name in ("view_bottext", "change_words"):
        user.user_permissions.add(Permission.objects.get(codename=name))
    return user


def page(key: str, language: str = "en") -> str:
    """The page of one text."""
    return reverse("admin:nurture_bottext_text", args=[language, key])


def test_the_bot_says_what_staff_wrote_from_the_next_answer_on() -> None:
    rosa = make.make_contact()
    change("welcome_back", "Hey {name}!")
    change("welcome_back", "¡Hey {name}!", "es")
    assert answer(rosa, "/start") == "Hey Rosa!"

    rosa.language = "es"
    rosa.save()
    assert answer(rosa, "/start") == "¡Hey Rosa!"

    bot_texts.restore(key="welcome_back", language="es")
    assert answer(rosa, "/start") == WORDS["es"]["welcome_back"].format(name="Rosa")


def test_an_update_reads_the_texts_once(django_assert_num_queries: Any) -> None:
    spoken = voice.Voice()
    with django_assert_num_queries(1):
        for language, words in WORDS.items():
            for key in words:
                spoken.say(key, language, **dict.fromkeys(slots(words[key]), "x"))


def test_a_name_is_still_no_markup_and_no_slot() -> None:
    rosa = make.make_contact(name="<b>{when} Diaz")
    change("welcome_back", "<i>Hey</i> {name}")
    assert answer(rosa, "/start") == "<i>Hey</i> &lt;b&gt;{when}"


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("welcome_back", "Hi {nick}", "{nick} is not known"),
        ("status_next", "Soon: {title}", "{when} is missing"),
        ("zone_is", "Zone {zone.__class__}", "{zone} is missing"),
        ("stopped", "<b>Done", "never closed"),
        ("stopped", "<h1>Done</h1>", "not one of Telegram's tags"),
        ("status_next", '<a href="https://x/{title}">{when}</a>', "attribute"),
        ("stopped", "  ", "empty"),
        ("stopped", "😀" * 2049, "longer"),
        ("yes_me", "x" * 41, "at most 40"),
        ("yes_me", "<b>Yes</b>", "without <"),
        ("come", "Yes", "{when} is missing"),
        ("fact_late", "a\nb", "one line"),
        ("help", "Ask us.", "lists no command"),
        ("help", "/status", "what it does"),
        ("help", "/fly – fly away", "/fly is no command"),
    ],
)
def test_what_would_break_is_refused_and_changes_nothing(key: str, text: str, why: str) -> None:
    with pytest.raises(bot_texts.BotTextError) as refused:
        change(key, text)

    assert why in str(refused.value)
    assert not BotText.objects.exists()


@pytest.mark.parametrize("language", sorted(WORDS))
def test_every_default_may_be_saved_and_is_no_change(language: str) -> None:
    for key, text in WORDS[language].items():
        change(key, text, language)
    assert not BotText.objects.exists()
    assert set(WORDS["en"]) > BUTTONS


def test_a_name_may_be_left_out_and_a_text_may_shrink_to_4096_units() -> None:
    change("linked", "Welcome!")
    change("stopped", "😀" * 2048)
    assert BotText.objects.count() == 2


def test_a_text_that_no_longer_fits_its_default_is_not_said() -> None:
    """The default may get other slots with a new telbot."""
    rosa = make.make_contact()
    BotText.objects.create(key="zone_is", language="en", text="In {place}", changed_at=NOW)
    assert "UTC" in answer(rosa, "/timezone")


def test_the_menu_follows_the_help_of_each_language() -> None:
    change("help", "Ask for:\n/status – ¿qué sigue?\n/stop – basta", "es")
    menus = voice.commands()
    assert menus["es"] == [("status", "¿qué sigue?"), ("stop", "basta")]
    assert menus["en"] == menus[""] != menus["es"]


def test_staff_see_every_text_change_one_and_go_back(client: Client, author: User) -> None:
    client.force_login(author)
    change("stopped", "Adiós", "es")
    shown = client.get(reverse(LIST)).content.decode()
    assert shown.count("changed</b>") == 1
    assert all(page(key, code) in shown for code, words in WORDS.items() for key in words)

    refused = client.post(page("stopped"), {"text": "<b>Bye"}).content.decode()
    assert "Not saved: &lt;b&gt; is never closed" in refused
    assert "<b>Bye" not in refused  # shown again, escaped
    assert client.post(page("stopped"), {"text": "Bye\r\nnow"}).status_code == 302
    row = BotText.objects.get(language="en")
    assert (row.text, row.changed_by) == ("Bye\nnow", "author")
    assert "Back to the default" in client.get(page("stopped")).content.decode()

    client.post(page("stopped"), {"restore": "1"})
    assert not BotText.objects.filter(language="en").exists()
    assert client.get(page("no_such")).status_code == 404


def test_who_may_only_look_changes_nothing(client: Client, author: User) -> None:
    author.user_permissions.remove(Permission.objects.get(codename="change_words"))
    client.force_login(author)

    assert "Save" not in client.get(page("stopped")).content.decode()
    assert client.post(page("stopped"), {"text": "Bye"}).status_code == 403
    assert client.post(page("stopped"), {"restore": "1"}).status_code == 403

    author.user_permissions.clear()
    client.force_login(User.objects.get())
    assert client.get(page("stopped")).status_code == 403
    assert client.get(reverse(LIST)).status_code == 403
    assert not BotText.objects.exists()
