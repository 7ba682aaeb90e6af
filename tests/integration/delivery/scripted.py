"""Loopback servers that misbehave to order, below HTTP: raw sockets, one asyncio loop."""

from __future__ import annotations

import asyncio
import json
import selectors
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, TypeVar

OK = {"ok": True, "result": {}}

Talk = Callable[["Peer"], Awaitable[None]]
T = TypeVar("T")

PATIENCE = 0.002  # seconds without a byte on the loopback: now everybody waits for the clock


class _Leap(selectors.DefaultSelector):
    """Waits for bytes as ever; where none come, time leaps to the next timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout and min(timeout, PATIENCE))
        if timeout and not ready:
            self.now += timeout
        return ready


class VirtualTime(asyncio.SelectorEventLoop):
    """A loop whose seconds do not pass by themselves: a busy machine changes no idle time."""

    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._leap.now


def leap(story: Coroutine[Any, Any, T]) -> T:
    """Run a story in which time passes only where everybody waits for it."""
    with asyncio.Runner(loop_factory=VirtualTime) as runner:
        return runner.run(story)


@dataclass
class Peer:
    """One accepted connection of a scripted server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seen: list[bytes]  # bodies of all requests, over all connections

    async def request(self, *, within: float | None = None) -> bytes | None:
        """Read one request; None when the client left or `within` seconds passed in silence."""
        try:
            head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), within)
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            return None
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        body = await self.reader.readexactly(length)
        self.seen.append(body)
        return body

    async def write(self, data: bytes) -> None:
        """Send raw bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, status: int = 200, body: object = OK, headers: str = "") -> None:
        """Send a whole answer; a str body goes out as it is."""
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
        await self.write(f"{head}Content-Length: {len(raw)}\r\n\r\n".encode() + raw)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Server:
    """A running scripted server."""

    url: str
    seen: list[bytes]
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[Server]:
    """Run `talk` for every accepted connection; close what is left at the end."""
    server = Server(url="", seen=[])

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        server.tasks.add(task)
        try:
            await talk(Peer(reader, writer, server.seen))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            server.tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listener.close()
        for task in [*server.tasks]:
            task.cancel()
        await asyncio.gather(*server.tasks, return_exceptions=True)
