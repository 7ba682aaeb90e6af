"""A Bot API receiver in a process of its own: it answers at once and counts by itself.

`python -m tests.bench.sink` prints its port; GET /count says how many chats got how much.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import Counter

from aiohttp import web

_arrived: Counter[str] = Counter()
_message_ids = itertools.count(1)


async def send_message(request: web.Request) -> web.Response:
    """Take one message."""
    form = await request.post()
    chat = str(form["chat_id"])
    _arrived[chat] += 1
    message = {
        "message_id": next(_message_ids),
        "date": 1,
        "text": "x",
        "chat": {"id": int(chat), "type": "private", "first_name": "x"},
    }
    return web.json_response({"ok": True, "result": message})


async def count(_request: web.Request) -> web.Response:
    """Say what arrived since the last time, and forget it."""
    told = {"messages": _arrived.total(), "chats": len(_arrived)}
    _arrived.clear()
    return web.json_response(told)


async def _say_port(app: web.Application) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"{runner.addresses[0][1]}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until killed."""
    app = web.Application()
    app.router.add_post("/bot{token}/{method}", send_message)
    app.router.add_get("/count", count)

    async def serve() -> None:
        await _say_port(app)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
