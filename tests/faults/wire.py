"""The wire between telbot and the receiver: what arrives is counted, what is heard is up to us."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: Telegram never sees the request.
BEFORE = ("refused", "unaccepted", "reset on accept", "flood")
#: Telegram executes the request, and telbot hears nothing, or no word of Telegram.
AFTER = ("reset", "half", "silence", "502 html", "500 json", "garbage", "not ok")
_HEARD: dict[str, tuple[int, bytes]] = {
    "flood": (
        429,
        b'{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1",'
        b'"parameters":{"retry_after":1}}',
    ),
    "502 html": (502, b"<html><h1>Bad Gateway</h1></html>"),
    "500 json": (500, b'{"ok":false,"error_code":500,"description":"Internal Server Error"}'),
    "garbage": (200, b"\x00\xff not JSON"),
    "not ok": (200, b'{"ok":false}'),
}


@dataclass
class Wire:
    """Carries calls to the receiver at `far`. `by_chat`: a fault for the next call of a chat."""

    far: str
    fault: str = ""
    by_chat: dict[int, str] = field(default_factory=dict)
    port: int = 0
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _server: asyncio.Server | None = None
    _deaf: list[socket.socket] = field(default_factory=list)
    _open: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where telbot is told to find Telegram."""
        return f"http://127.0.0.1:{self.port}"

    def fail(self, fault: str) -> None:
        """From now on every call meets `fault`; "" heals."""

        async def change() -> None:
            await self._hang_up()
            self.fault = fault
            if fault == "unaccepted":
                self._turn_deaf()
            elif fault != "refused":
                await self._listen()

        self._do(change())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, "127.0.0.1", self.port, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for sock in self._deaf:
            sock.close()
        self._deaf.clear()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await asyncio.sleep(0)

    def _turn_deaf(self) -> None:
        """A full backlog: the kernel drops each further SYN."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._deaf.append(listener)
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._deaf.append(filler)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                if self.fault == "reset on accept":
                    _reset(writer)
                while not writer.is_closing():
                    await self._carry(reader, writer)
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read(reader)
        form = parse_qs(request.partition(b"\r\n\r\n")[2].decode())
        chat = int(form.get("chat_id", ["0"])[0])
        fault = self.fault or self.by_chat.pop(chat, "")
        answer = b"" if fault == "flood" else await self._forward(request)
        if fault == "reset":
            _reset(writer)
        elif fault in {"half", "silence"}:
            writer.write(answer[: len(answer) // 2] if fault == "half" else b"")
            await asyncio.Event().wait()
        else:
            writer.write(_http(*_HEARD[fault]) if fault else answer)
            await writer.drain()

    async def _forward(self, request: bytes) -> bytes:
        to = urlsplit(self.far)
        reader, writer = await asyncio.open_connection(to.hostname, to.port)
        try:
            writer.write(request)
            return await _read(reader)
        finally:
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> bytes:
    """One request or answer, whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + await reader.readexactly(length)


def _http(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextmanager
def wired(far: str) -> Iterator[Wire]:
    """Serve a wire to `far` from a thread of its own."""
    wire = Wire(far)
    thread = threading.Thread(target=wire.loop.run_forever, daemon=True)
    thread.start()
    wire.fail("")
    try:
        yield wire
    finally:
        wire._do(wire._hang_up())
        wire.loop.call_soon_threadsafe(wire.loop.stop)
        thread.join(10)
        wire.loop.close()
