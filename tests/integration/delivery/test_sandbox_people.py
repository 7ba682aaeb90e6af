"""What people do in the sandbox, and how the bot hears of it (S05), over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from telegram import (
    BotCommand,
    Message,
    MessageEntity,
)
from telegram.error import BadRequest, Conflict
from yarl import URL

from delivery.sandbox.app import build_app, plain
from delivery.sandbox.state import World
from tests.integration.delivery.sandboxed import Sandbox, keyboard, play


def test_updates_are_given_until_confirmed_and_expire() -> None:
    async def scenario(box: Sandbox) -> None:
        person = box.person(7)
        await box.control("people/7/text", {"text": "/status"})
        sent = await box.bot.send_message(7, "x", reply_markup=keyboard("v1:1:a"))
        await box.control("people/7/press", {"message_id": sent.message_id})
        first = await box.bot.get_updates()
        assert [u.update_id for u in first] == [u.update_id for u in await box.bot.get_updates()]
        assert first[0].message is not None
        assert first[0].message.entities[0].type == MessageEntity.BOT_COMMAND
        query = first[1].callback_query
        assert query is not None
        assert (query.data, query.from_user.id) == ("v1:1:a", person.id)
        rest = await box.bot.get_updates(offset=first[0].update_id + 1)
        assert [u.update_id for u in rest] == [first[1].update_id]
        box.clock.now += 151
        assert await box.bot.get_updates() == ()
        with pytest.raises(BadRequest, match="Query is too old"):
            await box.bot.answer_callback_query(query.id)

    play(scenario)


def test_a_long_poll_wakes_up_and_a_second_poller_ends_the_first() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        poll = asyncio.create_task(box.bot.get_updates(timeout=30))
        while not box.world.changed:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        await box.control("people/7/text", {"text": "hello"})
        (update,) = await asyncio.wait_for(poll, 5)
        assert update.message is not None
        first = asyncio.create_task(box.bot.get_updates(offset=update.update_id + 1, timeout=30))
        await asyncio.sleep(0.1)
        second = asyncio.create_task(box.bot.get_updates(timeout=1))
        with pytest.raises(Conflict, match="terminated by other getUpdates"):
            await asyncio.wait_for(first, 5)
        await second
        await box.bot.set_webhook("http://127.0.0.1:1/")
        with pytest.raises(Conflict, match="while webhook is active"):
            await box.bot.get_updates()

    play(scenario)


def test_buttons_are_answered_and_taken_away() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        sent = await box.bot.send_message(7, "x", reply_markup=keyboard("v1:1:a"))
        pressed = await box.control("people/7/press", {"message_id": sent.message_id})
        await box.bot.answer_callback_query(pressed["callback_id"], "Thank you")
        answer = (await box.control(f"callbacks/{pressed['callback_id']}"))["answer"]
        assert answer == {"text": "Thank you", "show_alert": False}
        edited = await box.bot.edit_message_reply_markup(7, sent.message_id)
        assert isinstance(edited, Message)
        assert edited.reply_markup is None
        assert edited.edit_date is not None
        with pytest.raises(BadRequest, match="not modified"):
            await box.bot.edit_message_reply_markup(7, sent.message_id)
        changed = await box.bot.edit_message_text("<b>y</b>", 7, sent.message_id, parse_mode="HTML")
        assert isinstance(changed, Message)
        assert changed.text == "y"

    play(scenario)


def test_blocking_and_unblocking_are_told_to_the_bot() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        await box.control("people/7/block", {})
        await box.control("people/7/block", {})
        await box.control("people/7/unblock", {})
        told = [u.my_chat_member for u in await box.bot.get_updates()]
        assert [m and m.new_chat_member.status for m in told] == ["kicked", "member"]

    play(scenario)


def test_start_links_carry_their_payload_and_unblock() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7, started=False, blocked=True)
        await box.control("people/7/start", {"payload": "abc-_1"})
        membership, start = await box.bot.get_updates()
        assert membership.my_chat_member is not None
        assert start.message is not None
        assert start.message.text == "/start abc-_1"
        await box.bot.send_message(7, "welcome")

    play(scenario)


def test_commands_chat_and_webhook_info() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        commands = [BotCommand("start", "Begin"), BotCommand("stop", "No more")]
        await box.bot.set_my_commands(commands)
        await box.bot.set_my_commands(commands[:1], language_code="es")
        assert await box.bot.get_my_commands() == tuple(commands)
        assert await box.bot.get_my_commands(language_code="es") == tuple(commands[:1])
        with pytest.raises(BadRequest, match=r"(?i)command_invalid"):
            await box.bot.set_my_commands([BotCommand("Start!", "x")])
        assert (await box.bot.get_chat(7)).first_name == "Person 7"
        assert (await box.bot.get_webhook_info()).url == ""
        assert (await box.bot.get_me()).username == "telbot_sandbox_bot"

    play(scenario)


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"

    async def before(box: Sandbox) -> None:
        box.person(7)
        sent = await box.bot.send_message(7, "one", reply_markup=keyboard("v1:1:a"))
        await box.control("people/7/press", {"message_id": sent.message_id})
        await box.control("people/7/text", {"text": "two"})
        await box.bot.get_updates(offset=(await box.bot.get_updates())[0].update_id + 1)

    async def after(box: Sandbox) -> None:
        (update,) = await box.bot.get_updates()
        assert update.message is not None
        assert update.message.text == "two"
        texts = [m["text"] for m in (await box.control("messages"))["messages"]]
        assert texts == ["one", "two"]
        assert (await box.bot.send_message(7, "three")).message_id == 3

    play(before, journal=journal)
    with journal.open("a") as file:
        file.write('{"event": "message", "at"')  # a line cut off by a kill
    play(after, journal=journal)
    play(after_only_reads, journal=journal)


async def after_only_reads(box: Sandbox) -> None:
    """The cut-off line was removed, so later lines are whole."""
    assert len(box.world.messages[7]) == 3


def test_foreign_pages_get_nowhere() -> None:
    async def scenario(box: Sandbox) -> None:
        box.person(7)
        url = f"{box.url}/sandbox/people/7/text"
        async with box.http.post(url, data='{"text": "x"}') as response:
            assert response.status == 415
        async with box.http.get(f"{box.url}/", headers={"Host": "evil.example"}) as response:
            assert response.status == 403
        async with box.http.get(f"{box.url}/") as response:
            policy = response.headers["Content-Security-Policy"]
            assert "unsafe" not in policy
            assert "default-src 'none'" in policy
            assert "http" not in policy

    play(scenario)


def test_people_are_imported_many_at_once_and_keep_what_they_did() -> None:
    async def scenario(box: Sandbox) -> None:
        people = [{"id": number, "started": True} for number in range(1, 501)]
        await box.control("people", {"people": people})
        await box.control("people/7/block", {})
        await box.control("people", {"people": people})
        assert box.world.people[7].blocked
        listed = await box.control("people?q=Learner%20499")
        assert [person["id"] for person in listed["people"]] == [499]

    play(scenario)


def test_another_api_can_be_mounted_beside_telegrams() -> None:
    def google(
        method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        said = f"{method} {path} {headers['X-Test']} {body.decode()}"
        return 201, {"Content-Type": "text/plain"}, said.encode()

    async def main() -> None:
        runner = web.AppRunner(build_app(World(), mounts={"/calendar/v3": plain(google)}))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}/calendar/v3/calendars/a%40b/events?x=1"
        async with (
            aiohttp.ClientSession() as http,
            http.post(URL(url, encoded=True), data=b"body", headers={"X-Test": "t"}) as response,
        ):
            assert response.status == 201
            expected = "POST /calendar/v3/calendars/a%40b/events?x=1 t body"
            assert await response.text() == expected
        await runner.cleanup()

    asyncio.run(main())
