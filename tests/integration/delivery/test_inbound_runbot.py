"""Long polling: stored before confirmed, handled in this process, ends when told (S05)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.test import override_settings

from delivery import clock, services, tasks
from delivery.gateways import Call
from delivery.inbound import callback_data
from delivery.management.commands import runbot
from delivery.models import Delivery, InboundUpdate
from delivery.sandbox import client
from delivery.sandbox.app import build_app
from delivery.sandbox.state import World
from tests.integration.delivery import inbound_updates

TOKEN = "1:sandbox"
SESSION: web.AppKey[aiohttp.ClientSession] = web.AppKey("session", aiohttp.ClientSession)


async def _session(app: web.Application) -> Any:
    async with aiohttp.ClientSession() as session:
        app[SESSION] = session
        yield


class Running:
    """A Bot API server in a thread of its own."""

    def __init__(self, app: web.Application) -> None:
        self.ready = threading.Event()
        self.url = ""
        self.app = app
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.ready.wait(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.5)
        self.loop.run_until_complete(runner.setup())
        self.loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self.ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(runner.cleanup())
        self.loop.close()

    def close(self) -> None:
        """End the server."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Use a control address of the sandbox."""
        method = "GET" if body is None else "POST"
        return client.request(self.url, method, f"/sandbox/{path}", body)


@pytest.fixture(autouse=True)
def bells(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which actors were rung; nobody hears them here."""
    rung: list[str] = []
    monkeypatch.setattr(tasks, "ring", lambda: rung.append("drain_deliveries"))
    return rung


@pytest.fixture
def box() -> Iterator[Running]:
    """A sandbox with one person, set as the Telegram of this process."""
    running = Running(build_app(World(token=TOKEN)))
    inbound_updates.heard.clear()
    with override_settings(
        BOT_TOKEN=TOKEN,
        TELEGRAM_API_URL=running.url,
        STAGING_ALLOWED_CHATS=None,
        DELIVERY_INBOUND_HANDLER="tests.integration.delivery.inbound_updates.echo",
    ):
        running.control("people", {"id": 7, "first_name": "Rosa", "started": True})
        yield running
    running.close()


def run_once() -> dict[str, int]:
    """runbot --once --json."""
    out = StringIO()
    call_command("runbot", "--once", "--json", stdout=out)
    report: dict[str, int] = json.loads(out.getvalue().splitlines()[-1])
    return report


@pytest.mark.django_db(transaction=True)
def test_one_pass_stores_handles_and_confirms(box: Running, bells: list[str]) -> None:
    box.control("people/7/text", {"text": "/status"})
    box.control("people/7/text", {"text": "hello"})
    assert run_once() == {"received": 2, "new": 2, "handled": 2, "failed": 0, "replies": 2}
    assert set(Delivery.objects.values_list("lane", flat=True)) == {0}
    assert bells == ["drain_deliveries"]
    assert run_once()["received"] == 0  # confirmed


@pytest.mark.django_db(transaction=True)
def test_a_press_is_answered_and_its_buttons_go(box: Running) -> None:
    chat = services.register_chat(telegram_id=7)
    delivery = services.enqueue(chat=chat, text="x", dedupe_key="k", due_at=clock.now())
    data = callback_data(delivery_id=delivery.pk, action="dispute")
    sent = client_call(box, "sendMessage", data)
    pressed = box.control("people/7/press", {"message_id": sent, "data": data})
    run_once()
    assert box.control(f"callbacks/{pressed['callback_id']}")["answer"] is not None
    (message,) = box.control("people/7")["messages"]
    assert "reply_markup" not in message


def client_call(box: Running, method: str, data: str) -> int:
    """The bot sends a message with one button; returns its id."""
    body = {
        "chat_id": 7, "text": "x",
        "reply_markup": {"inline_keyboard": [[{"text": "x", "callback_data": data}]]},
    }  # fmt: skip
    request = urllib.request.Request(
        f"{box.url}/bot{TOKEN}/{method}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        message_id: int = json.load(answer)["result"]["message_id"]
    return message_id


@pytest.mark.django_db(transaction=True)
def test_what_an_earlier_process_left_behind_is_handled_too(box: Running) -> None:
    payload = inbound_updates.message(3, "left behind")
    services.updates.store_updates(payloads=[payload], now=clock.now())
    assert run_once() == {"received": 0, "new": 0, "handled": 1, "failed": 0, "replies": 1}


@pytest.mark.django_db(transaction=True)
def test_a_set_webhook_is_taken_away_first(box: Running) -> None:
    url = f"{box.url}/bot{TOKEN}/setWebhook?url=http://127.0.0.1:1/x"
    with urllib.request.urlopen(url):
        pass
    assert run_once()["received"] == 0


@pytest.mark.django_db
def test_a_refused_token_is_said_plainly(box: Running) -> None:
    with override_settings(BOT_TOKEN="2:wrong"), pytest.raises(CommandError, match="BOT_TOKEN"):
        run_once()


def end_when(condition: Callable[[], bool]) -> threading.Thread:
    """Send SIGTERM to this process once something is so, or after ten seconds."""

    def watch() -> None:
        for _ in range(1000):
            if condition():
                break
            threading.Event().wait(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_it_listens_until_sigterm_and_ends_at_once(box: Running) -> None:
    box.control("people/7/text", {"text": "hello"})
    watcher = end_when(lambda: bool(inbound_updates.heard))
    before = time.monotonic()
    call_command("runbot", stdout=StringIO())
    seconds = time.monotonic() - before
    watcher.join()
    assert [i.chat_id for i in inbound_updates.heard] == [7]
    assert InboundUpdate.objects.filter(handled_at__isnull=False).count() == 1
    assert seconds < 5  # though each poll waits for 25 s


@pytest.mark.django_db(transaction=True)
def test_network_trouble_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, box: Running
) -> None:
    """A server that fails twice, and then gives an update."""
    troubles = [web.Response(status=502, text="x"), web.Response(status=500, text="{}")]
    monkeypatch.setattr(runbot, "FIRST_PAUSE", 0.01)

    async def moody(request: web.Request) -> web.Response:
        if request.match_info["method"] == "deleteWebhook" and troubles:
            return troubles.pop()
        async with request.app[SESSION].post(
            f"{box.url}{request.path}", data=await request.read(), headers=request.headers
        ) as answer:
            return web.json_response(await answer.json(), status=answer.status)

    app = web.Application()
    app.cleanup_ctx.append(_session)
    app.router.add_route("*", "/bot{token}/{method}", moody)
    front = Running(app)
    box.control("people/7/text", {"text": "hello"})
    watcher = end_when(lambda: bool(inbound_updates.heard))
    with override_settings(TELEGRAM_API_URL=front.url):
        call_command("runbot", stdout=StringIO())
    watcher.join()
    front.close()
    pauses = [getattr(record, "pause_seconds", None) for record in caplog.records]
    assert [pause for pause in pauses if pause] == [0.01, 0.02]
    assert len(inbound_updates.heard) == 1


def menu(box: Running, language: str) -> list[str]:
    """The commands that Telegram shows to people with this language."""
    url = f"{box.url}/bot{TOKEN}/getMyCommands?language_code={language}"
    with urllib.request.urlopen(url) as answer:
        return [f"{row['command']}: {row['description']}" for row in json.load(answer)["result"]]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("how", ["polling", "webhook"])
def test_the_menu_of_commands_is_there_in_each_language(box: Running, how: str) -> None:
    if how == "polling":
        watcher = end_when(lambda: bool(menu(box, "es")))
        call_command("runbot", stdout=StringIO())
        watcher.join()
    else:
        with override_settings(
            PUBLIC_URL="https://telbot.example", TELEGRAM_WEBHOOK_SECRET="s" * 40
        ):
            call_command("runbot", "--webhook", stdout=StringIO())
    assert menu(box, "")[0] == "status: what is next for you"
    assert menu(box, "en") == menu(box, "")
    assert menu(box, "es")[0] == "status: lo próximo para ti"
    assert "snooze: quiet for a while; /resume ends it" in menu(box, "")


def test_a_second_poller_for_a_minute_makes_it_give_way() -> None:
    """Ends with a message instead of fighting on; driven without waiting."""

    class Door:
        async def delete_webhook(self) -> Any:
            return Call(started=True, status=409, body={"ok": False})

    with asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        patch.setattr(runbot, "close_old_connections", lambda: None)
        patch.setattr(runbot, "FIRST_PAUSE", 0.01)
        patch.setattr(runbot, "CONFLICT_SECONDS", 0.05)
        poller = runbot.Poller(runner, Door, runbot.Report())  # type: ignore[arg-type]
        with pytest.raises(CommandError, match="another process polls"):
            poller.forever()


@pytest.mark.django_db(transaction=True)
def test_staging_answers_no_chat_it_may_not_call(box: Running) -> None:
    """S06: also the small calls after a press keep to the list."""
    sent = client_call(box, "sendMessage", "v1:1:a")
    pressed = box.control("people/7/press", {"message_id": sent})
    with override_settings(ENVIRONMENT="staging", STAGING_ALLOWED_CHATS=frozenset({5})):
        assert run_once()["handled"] == 1
    assert box.control(f"callbacks/{pressed['callback_id']}")["answer"] is None


@pytest.mark.django_db
def test_the_webhook_is_set_with_its_secret(box: Running) -> None:
    with override_settings(TELEGRAM_WEBHOOK_SECRET=""), pytest.raises(CommandError, match="SECRET"):
        call_command("runbot", "--webhook")
    out = StringIO()
    with override_settings(TELEGRAM_WEBHOOK_SECRET="s3cret", PUBLIC_URL="https://telbot.example"):
        call_command("runbot", "--webhook", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"webhook": "https://telbot.example/telegram/webhook/"}
    with urllib.request.urlopen(f"{box.url}/bot{TOKEN}/getWebhookInfo") as answer:
        assert json.load(answer)["result"]["url"] == "https://telbot.example/telegram/webhook/"


@pytest.mark.django_db(transaction=True)
def test_a_lost_database_is_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, box: Running
) -> None:
    """What could not be stored was not confirmed, so it comes again."""
    monkeypatch.setattr(runbot, "FIRST_PAUSE", 0.01)
    lost = [OperationalError("gone")]

    def moody(**options: Any) -> int:
        if lost:
            raise lost.pop()
        return services.updates.store_updates(**options)

    monkeypatch.setattr(runbot, "store_updates", moody)
    box.control("people/7/text", {"text": "hello"})
    watcher = end_when(lambda: bool(inbound_updates.heard))
    call_command("runbot", stdout=StringIO())
    watcher.join()
    assert "runbot.database_lost" in caplog.text
    assert len(inbound_updates.heard) == 1
