"""Webhook delivery by Telegram's rules: one queue per chat, retries after 1, 2, 4 … seconds."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from delivery.sandbox.state import Json, World

LONGEST_PAUSE = 60.0  # seconds; https://github.com/tdlib/telegram-bot-api, WebhookActor.cpp
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"

Call = Callable[[str, Json], Any]


def chat_of(update: Json) -> int:
    """The chat whose queue an update belongs to."""
    content = next(value for key, value in update.items() if key != "update_id")
    return int((content.get("chat") or content["from"])["id"])


class Webhook:
    """Pushes updates while a webhook is set. A failing update holds back its own chat only."""

    def __init__(self, world: World, call: Call, *, first_pause: float = 1.0) -> None:
        self.world = world
        self.call = call
        self.first_pause = first_pause
        self.wake = asyncio.Event()
        self.chats: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Start a task for each chat that has updates waiting; runs until cancelled."""
        async with aiohttp.ClientSession() as session:
            try:
                while True:
                    self.wake.clear()
                    if self.world.webhook:
                        self._start_chats(session)
                    await self.wake.wait()
            finally:
                for task in self.chats.values():
                    task.cancel()
                await asyncio.gather(*self.chats.values(), return_exceptions=True)

    def _start_chats(self, session: aiohttp.ClientSession) -> None:
        for update in self.world.pending():
            chat = chat_of(update)
            task = self.chats.get(chat)
            if task is None or task.done():
                self.chats[chat] = asyncio.create_task(self._drain(session, chat))

    async def _drain(self, session: aiohttp.ClientSession, chat: int) -> None:
        pause = self.first_pause
        while self.world.webhook:
            update = next((u for u in self.world.pending() if chat_of(u) == chat), None)
            if update is None:
                return
            problem, wait = await self._post(session, update)
            if not problem:
                self.world.confirm(only=update["update_id"])
                pause = self.first_pause
                continue
            self._note(problem)
            await asyncio.sleep(wait or pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _post(self, session: aiohttp.ClientSession, update: Json) -> tuple[str, float]:
        """("", 0) when it was taken; else what went wrong and the pause the receiver asked for."""
        hook = self.world.webhook
        headers = {SECRET_HEADER: hook["secret"]} if hook["secret"] else {}
        try:
            async with session.post(
                hook["url"],
                json=update,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=60),
            ) as response:
                if response.status // 100 != 2:
                    asked = response.headers.get("Retry-After", "")
                    wait = min(float(asked), 3600.0) if asked.isdigit() else 0.0
                    return (
                        f"Wrong response from the webhook: {response.status} {response.reason}",
                        wait,
                    )
                body = await response.read()
                await self._answer(response.content_type, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return f"Connection failed: {type(error).__name__}", 0.0
        return "", 0.0

    async def _answer(self, content_type: str, body: bytes) -> None:
        """A 200 may carry one method call, whose result nobody sees."""
        if content_type != "application/json" or not body.strip():
            return
        with contextlib.suppress(Exception):
            params = json.loads(body)
            if isinstance(params, dict) and "method" in params:
                self.call(str(params.pop("method")), params)

    def _note(self, problem: str) -> None:
        if self.world.webhook:
            noted = {"last_error_date": int(self.world.clock()), "last_error_message": problem}
            self.world.record("webhook", webhook=self.world.webhook | noted)
