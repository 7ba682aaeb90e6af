"""A Bot API receiver that counts by itself, on loopback, independent of our database."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = tuple[int, dict[str, Any]]


@dataclass
class Receiver:
    """What arrived, and what is answered. `rule` may refuse: (chat, text) → answer or None."""

    rule: Callable[[int, str], Answer | None] = lambda _chat, _text: None
    latency: float = 0.0
    limit_per_second: int = 0
    arrived: Counter[int] = field(default_factory=Counter)
    texts: list[tuple[int, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    refused: int = 0
    probes: int = 0
    url: str = ""
    changed: threading.Condition = field(default_factory=threading.Condition)
    _recent: deque[float] = field(default_factory=deque)

    def await_count(self, count: int, *, seconds: float = 30) -> None:
        """Wait until that many messages have arrived."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.total >= count, timeout=seconds)

    @property
    def total(self) -> int:
        """How many messages arrived."""
        return sum(self.arrived.values())

    async def handle(self, request: web.Request) -> web.Response:
        """One Bot API call."""
        if request.match_info["method"].lower() != "sendmessage":
            self.probes += 1
            bot = {"id": 123456, "is_bot": True, "first_name": "t", "username": "t_bot"}
            return web.json_response({"ok": True, "result": bot})
        form = await request.post()
        chat, text = int(str(form["chat_id"])), str(form["text"])
        refusal = self.rule(chat, text) or self._flood()
        if refusal:
            self.refused += 1
            return web.json_response(refusal[1], status=refusal[0])
        with self.changed:
            self.arrived[chat] += 1
            self.texts.append((chat, text))
            self.times.append(asyncio.get_running_loop().time())
            number = self.total
            self.changed.notify_all()
        await asyncio.sleep(self.latency)
        message = {
            "message_id": number,
            "date": 1,
            "chat": {"id": chat, "type": "private", "first_name": "x"},
            "text": text,
        }
        return web.json_response({"ok": True, "result": message})

    def _flood(self) -> Answer | None:
        if not self.limit_per_second:
            return None
        now = asyncio.get_running_loop().time()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.limit_per_second:
            return 429, {
                "ok": False,
                "error_code": 429,
                "description": "Too Many Requests: retry after 1",
                "parameters": {"retry_after": 1},
            }
        self._recent.append(now)
        return None


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    """Serve `receiver` from a thread of its own."""
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/bot{token}/{method}", receiver.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def work() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield receiver
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
