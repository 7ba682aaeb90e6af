"""A loopback cable to PostgreSQL that can be held, and cut so that neither end hears of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from django.db import connection


@dataclass
class Cable:
    """Carries bytes both ways; while it is held they wait, and nobody gets an error."""

    port: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """The first line; each connection keeps the one that it began on."""
        self.line = asyncio.Event()
        self.line.set()

    @property
    def url(self) -> str:
        """The test database, by this cable."""
        config = connection.settings_dict
        return f"postgresql://{quote(config['USER'])}@127.0.0.1:{self.port}/{config['NAME']}"

    def hold(self) -> None:
        """From now on nothing passes; new connections are accepted and get no answer either."""
        self.loop.call_soon_threadsafe(self.line.clear)

    def let_go(self) -> None:
        """What waited passes, as if nothing had been."""
        self.loop.call_soon_threadsafe(self.line.set)

    def lose(self) -> None:
        """Half-open: what is connected never hears a word again, who connects anew is served."""

        def replace() -> None:
            self.line.clear()
            self.line = asyncio.Event()
            self.line.set()

        self.loop.call_soon_threadsafe(replace)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        line = self.line
        await line.wait()
        config = connection.settings_dict
        host, port = config["HOST"] or config["OPTIONS"].get("host"), config["PORT"] or 5432
        if str(host).startswith("/"):
            far, near = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        else:
            far, near = await asyncio.open_connection(host, int(port))
        with suppress(ConnectionError, asyncio.CancelledError):
            try:
                await asyncio.gather(_pump(reader, near, line), _pump(far, writer, line))
            finally:
                near.transport.abort()
                writer.transport.abort()


async def _pump(
    source: asyncio.StreamReader, to: asyncio.StreamWriter, line: asyncio.Event
) -> None:
    async for data in _chunks(source):
        await line.wait()
        to.write(data)
        await to.drain()
    await line.wait()  # a goodbye does not pass either
    to.close()


async def _chunks(source: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while data := await source.read(65536):
        yield data


@contextmanager
def cable() -> Iterator[Cable]:
    """Lay one; it is served from a thread of its own."""
    laid = Cable()
    ready = threading.Event()

    async def serve() -> asyncio.Server:
        server = await asyncio.start_server(laid.accept, "127.0.0.1", 0)
        laid.port = server.sockets[0].getsockname()[1]
        ready.set()
        return server

    async def end(server: asyncio.Server) -> None:
        server.close()
        for task in laid.tasks:
            task.cancel()
        await asyncio.gather(*laid.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted closes in the loop's next round

    def work() -> None:
        server = laid.loop.run_until_complete(serve())
        laid.loop.run_forever()
        laid.loop.run_until_complete(end(server))
        laid.loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield laid
    finally:
        laid.loop.call_soon_threadsafe(laid.loop.stop)
        thread.join(10)
