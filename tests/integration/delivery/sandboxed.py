"""A sandbox inside the running loop, a real python-telegram-bot client, and a hand on the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import telegram
from aiohttp import web
from telegram import InlineKeyboardButton, InlineKeyboardMarkup

from delivery.sandbox.app import build_app
from delivery.sandbox.state import Person, World
from delivery.telegram_request import AiohttpRequest


class Clock:
    """Seconds that stand still until told to move."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Sandbox:
    """What a test holds: the world, a bot, and the control addresses."""

    world: World
    clock: Clock
    url: str
    bot: telegram.Bot
    http: aiohttp.ClientSession

    async def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """POST to a control address (GET without a body)."""
        method = "GET" if body is None else "POST"
        async with self.http.request(method, f"{self.url}/sandbox/{path}", json=body) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer

    async def raw(self, method: str, **options: Any) -> tuple[int, dict[str, Any], Any]:
        """POST to the Bot API: status, JSON, headers."""
        url = f"{self.url}/bot{self.world.token}/{method}"
        async with self.http.post(url, **options) as response:
            return response.status, await response.json(), response.headers

    def person(self, number: int, **state: Any) -> Person:
        """Somebody in this world; started unless told otherwise."""
        person = Person(number, f"Person {number}", **({"started": True} | state))
        self.world.add_people([person])
        return person


@asynccontextmanager
async def sandbox(journal: Path | None = None, **options: Any) -> AsyncIterator[Sandbox]:
    """Run a sandbox on a free port until the block ends."""
    clock = Clock()
    world = World(journal=journal, clock=clock, **options)
    runner = web.AppRunner(build_app(world), access_log=None, shutdown_timeout=1)
    await runner.setup()
    async with AsyncExitStack() as stack:
        stack.callback(world.close)
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        requests = AiohttpRequest(), AiohttpRequest()
        for request in requests:
            await request.initialize()
            stack.push_async_callback(request.shutdown)
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bot = telegram.Bot(
            world.token,
            base_url=f"{url}/bot",
            request=requests[0],
            get_updates_request=requests[1],
        )
        yield Sandbox(world, clock, url, bot, http)


Scenario = Callable[[Sandbox], Awaitable[None]]


def play(scenario: Scenario, **options: object) -> None:
    """Run one scenario against a fresh sandbox."""

    async def main() -> None:
        async with sandbox(**options) as box:  # type: ignore[arg-type]
            await scenario(box)

    asyncio.run(main())


def keyboard(*data: str) -> InlineKeyboardMarkup:
    """One row of buttons."""
    return InlineKeyboardMarkup([[InlineKeyboardButton(d, callback_data=d) for d in data]])
