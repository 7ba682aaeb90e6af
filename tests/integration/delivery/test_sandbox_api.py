"""python-telegram-bot cannot tell the sandbox from Telegram (S05), over real HTTP."""

from __future__ import annotations

from datetime import timedelta

import aiohttp
import pytest
from telegram import (
    CopyTextButton,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
)
from telegram.error import BadRequest, Forbidden, InvalidToken, RetryAfter

from tests.integration.delivery.sandboxed import Sandbox, keyboard, play


def test_a_message_with_markup_and_buttons_is_stored_as_telegram_would() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        sent = await box.bot.send_message(
            7,
            "Hi <b>Rosa</b> 😀 <i>bye</i>",
            parse_mode="HTML",
            link_preview_options=LinkPreviewOptions(is_disabled=True),
            reply_markup=keyboard("v1:1:a", "v1:1:b"),
        )
        assert sent.text == "Hi Rosa 😀 bye"
        assert [(e.type, e.offset, e.length) for e in sent.entities] == [
            (MessageEntity.BOLD, 3, 4),
            (MessageEntity.ITALIC, 11, 3),
        ]
        assert sent.reply_markup == keyboard("v1:1:a", "v1:1:b")
        assert sent.chat.id == 7
        assert sent.from_user is not None
        assert sent.from_user.is_bot
        assert (await box.control("people/7"))["messages"][0]["message_id"] == sent.message_id

    play(scenario)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<p>x</p>", 'unsupported start tag "p" at byte offset 0'),
        ("a < b", "unsupported start tag"),
        ("x" * 4097, "message is too long"),
        ("<b>" * 8000 + "x" + "</b>" * 8000, "text is too long"),
        ("", "message text is empty"),
        ("  \n", "message text is empty"),
        ("<b> </b>", "must be non-empty"),
    ],
)
def test_texts_telegram_refuses(text: str, problem: str) -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        with pytest.raises(BadRequest) as refusal:
            await box.bot.send_message(7, text, parse_mode="HTML")
        assert problem.lower() in str(refusal.value).lower()
        assert box.world.messages == {}

    play(scenario)


def test_a_text_of_4096_code_points_passes_whatever_its_markup_weighs() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        sent = await box.bot.send_message(7, f"<b>{'😀' * 4096}</b>", parse_mode="HTML")
        assert len(sent.text or "") == 4096

    play(scenario)


@pytest.mark.parametrize(
    ("markup", "problem"),
    [
        (keyboard("x" * 65), "button_data_invalid"),
        (keyboard("é" * 33), "button_data_invalid"),
        (keyboard(*"123456789"), "reply markup is too long"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("x", callback_data="x")]] * 101), "too long"),
        (InlineKeyboardMarkup([[InlineKeyboardButton("x", url="nowhere")]]), "wrong http url"),
        (
            InlineKeyboardMarkup([[InlineKeyboardButton("x", copy_text=CopyTextButton("x"))]]),
            "unallowed",
        ),
    ],
)
def test_keyboards_telegram_refuses(markup: InlineKeyboardMarkup, problem: str) -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        with pytest.raises(BadRequest) as refusal:
            await box.bot.send_message(7, "x", reply_markup=markup)
        assert problem in str(refusal.value).lower()

    play(scenario)


@pytest.mark.parametrize(
    ("state", "error", "problem"),
    [
        ({"started": False}, Forbidden, "bot can't initiate conversation with a user"),
        ({"blocked": True}, Forbidden, "bot was blocked by the user"),
        ({"deactivated": True}, Forbidden, "user is deactivated"),
    ],
)
def test_people_who_cannot_be_written_to(
    state: dict[str, bool], error: type[Exception], problem: str
) -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7, **state)
        with pytest.raises(error, match=problem):
            await box.bot.send_message(7, "x")

    play(scenario)


def test_an_unknown_chat_is_refused_unless_the_world_is_open() -> None:
    async def scenario(box: Sandbox) -> None:
        with pytest.raises(BadRequest, match="Chat not found"):
            await box.bot.send_message(123, "x")
        await box.control("flags", {"open": True})
        await box.bot.send_message(123, "x")
        with pytest.raises(BadRequest, match="Chat not found"):
            await box.bot.send_message(-123, "x")
        assert box.world.people[123].started

    play(scenario)


def test_more_than_thirty_a_second_is_flood_for_the_whole_bot() -> None:
    async def scenario(box: Sandbox) -> None:
        for number in range(1, 32):
            box.person(number)
        for number in range(1, 31):
            await box.bot.send_message(number, "x")
            box.clock.now += 0.02
        with pytest.raises(RetryAfter) as refusal:
            await box.bot.send_message(31, "x")
        status, body, headers = await box.raw("sendMessage", data={"chat_id": 31, "text": "x"})
        assert (status, body["error_code"]) == (429, 429)
        assert body["parameters"] == {"retry_after": 3}
        assert headers["Retry-After"] == "3"
        assert refusal.value.retry_after == timedelta(seconds=3)
        box.clock.now += 3.1
        await box.bot.send_message(31, "x")

    play(scenario)


def test_twenty_five_a_second_is_no_flood() -> None:
    async def scenario(box: Sandbox) -> None:
        for number in range(1, 101):
            box.person(number)
            await box.bot.send_message(number, "x")
            box.clock.now += 0.04

    play(scenario)


def test_one_chat_takes_a_small_burst_and_then_one_a_second() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        box.person(8)
        for _ in range(3):
            await box.bot.send_message(7, "x")
        with pytest.raises(RetryAfter):
            await box.bot.send_message(7, "x")
        await box.bot.send_message(8, "others are not concerned")
        for _ in range(5):
            box.clock.now += 1
            await box.bot.send_message(7, "x")

    play(scenario)


@pytest.mark.parametrize("token", ["2:other", "1:sandbo"])
def test_a_foreign_token_is_unauthorized_and_a_malformed_one_not_found(token: str) -> None:
    async def scenario(box: Sandbox) -> None:
        async with box.http.get(f"{box.url}/bot{token}/getMe") as response:
            assert response.status == 401
        async with box.http.get(f"{box.url}/botnonsense/getMe") as response:
            assert response.status == 404
        with pytest.raises(InvalidToken):
            await box.bot.do_api_request("noSuchMethod", {})

    play(scenario)


def test_parameters_arrive_by_query_form_multipart_and_json() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        fields = {"chat_id": "7", "text": "x"}
        url = f"{box.url}/bot{box.world.token}/SENDMESSAGE"
        async with box.http.get(url, params=fields) as response:
            assert (await response.json())["ok"]
        for options in ({"data": fields}, {"json": {"chat_id": 7, "text": "x"}}):
            assert (await box.raw("sendMessage", **options))[1]["ok"]
            box.clock.now += 5
        form = aiohttp.FormData(fields)
        form.add_field("file", b"x", filename="x.txt")
        assert (await box.raw("sendMessage", data=form))[1]["ok"]

    play(scenario)
