"""The sandbox as a daemon that processes share, and its webhook pusher."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from django.conf import settings
from django.test import override_settings

from config import embedded
from delivery.sandbox import client
from delivery.sandbox.webhook import SECRET_HEADER
from tests.integration.delivery.sandboxed import Sandbox, sandbox

ENSURE = "from delivery.sandbox import client; print(client.ensure())"


@pytest.mark.slow
def test_twelve_processes_start_one_sandbox_that_outlives_them(tmp_path: Path) -> None:
    environment = os.environ | {
        "LOCAL_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "PORT": "18123",
        "BOT_TOKEN": "",
    }
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", ENSURE],
            env=environment, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(12)
    ]  # fmt: skip
    told = {starter.communicate(timeout=90)[0].strip() for starter in starters}
    with override_settings(LOCAL_DIR=tmp_path, SANDBOX_PORT=18124):
        try:
            assert len(told) == 1
            (url,) = told
            assert client.address() == url
            client.request(url, "POST", "/sandbox/people", {"id": 7, "started": True})
            os.kill(int(client._read_state()["pid"]), signal.SIGKILL)
            again = client.ensure()
            people = client.request(again, "GET", "/sandbox/people")["people"]
            assert [person["id"] for person in people] == [7]
        finally:
            client.stop()
            embedded.stop(tmp_path)  # manage.py starts these for every command
        assert client.address() == ""
        client.stop()


def test_a_refusal_of_the_control_address_says_why() -> None:
    async def scenario() -> str:
        async with sandbox() as box:
            with pytest.raises(client.SandboxError) as refusal:
                await asyncio.to_thread(client.request, box.url, "GET", "/sandbox/people/1")
            return str(refusal.value)

    assert "no such person" in asyncio.run(scenario())


class Receiver:
    """A webhook endpoint that fails as often as it is told to."""

    def __init__(self, failures: dict[int, list[int]]) -> None:
        self.failures = failures  # chat → statuses to answer first
        self.seen: list[tuple[int, str, int]] = []  # chat, text, status
        self.secrets: set[str | None] = set()

    async def take(self, request: web.Request) -> web.Response:
        """Note the update and answer."""
        update = await request.json()
        self.secrets.add(request.headers.get(SECRET_HEADER))
        chat, text = update["message"]["chat"]["id"], update["message"]["text"]
        status = self.failures[chat].pop(0) if self.failures.get(chat) else 200
        self.seen.append((chat, text, status))
        return web.Response(status=status)


async def _pushed(failures: dict[int, list[int]], count: int) -> tuple[Receiver, Any]:
    receiver = Receiver(failures)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with sandbox() as box:
            return receiver, await _push(box, receiver, runner.addresses[0][1], count)
    finally:
        await runner.cleanup()


async def _push(box: Sandbox, receiver: Receiver, port: int, count: int) -> Any:
    for number in (7, 8):
        box.person(number)
    await box.control("people/7/text", {"text": "before"})
    await box.bot.set_webhook(f"http://127.0.0.1:{port}/hook", secret_token="s3cret")
    for text in ("one", "two"):
        for number in (7, 8):
            await box.control(f"people/{number}/text", {"text": text})
    deadline = asyncio.get_running_loop().time() + 15
    while len(receiver.seen) < count and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    while box.world.pending() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.02)
    return await box.bot.get_webhook_info()


def test_the_webhook_gets_every_update_in_the_order_of_its_chat() -> None:
    receiver, info = asyncio.run(_pushed({7: [500]}, 6))
    assert receiver.secrets == {"s3cret"}
    taken = [(chat, text) for chat, text, status in receiver.seen if status == 200]
    assert [text for chat, text in taken if chat == 7] == ["before", "one", "two"]
    assert [text for chat, text in taken if chat == 8] == ["one", "two"]
    # The failing chat waits; the other one does not.
    assert receiver.seen.index((8, "two", 200)) < receiver.seen.index((7, "one", 200))
    assert info.pending_update_count == 0
    assert "500" in info.last_error_message
