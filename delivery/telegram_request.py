"""How bytes reach the Bot API: a transport for python-telegram-bot on aiohttp.

aiohttp costs a third of the CPU of python-telegram-bot's own httpx. In return it never repeats
a POST on a connection that the server closed while it was idle, so this module takes care that
no request is written to such a connection (`FreshConnector`), and it records what the wire saw
(`WIRE`), because whether a failed send may be tried again depends on that and on nothing else.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from telegram._utils.types import ODVInput
from telegram.error import NetworkError, TimedOut
from telegram.request import BaseRequest, RequestData

from delivery.gateways import CALL_SECONDS

CONNECT_SECONDS = 5.0  # waiting for a place in the pool, name lookup, TCP and TLS together
# Telegram may hold a flooded call for 8 s before it answers 429.
ANSWER_SECONDS = CALL_SECONDS - CONNECT_SECONDS
POOL_SIZE = 64
USER_TIMEOUT_MS = 20_000  # bytes that the peer never acknowledged die with the call they belong to

# A connection is used again only when it has been quiet for QUIET_SECONDS (a server that closes
# right after its answer has been heard by then) and for less than IDLE_SECONDS (shorter than
# any server's own idle limit that we know of).
QUIET_SECONDS = 0.02
IDLE_SECONDS = 0.75
RELEARN = 1.001  # each good reuse lets a shortened idle limit grow by this factor

_TRUE = b'{"ok":true,"result":true}'
_HANGUP = getattr(select, "POLLRDHUP", 0)
_HEARD = select.POLLIN | select.POLLPRI | select.POLLERR | select.POLLHUP | _HANGUP


@dataclass
class Wire:
    """What one call saw. Put it into `WIRE` before the call; read it after, also on an error."""

    started: bool = False  # a first byte may be out: from here on, no answer means "unknown"
    status: int | None = None
    body: Any = None  # decoded JSON, or the raw bytes where it is none
    retry_after: float | None = None  # of the header, in seconds
    cause: BaseException | None = None
    stale: bool = False  # the connection was found closed before the first byte; try another
    reused: ResponseHandler | None = field(default=None, repr=False)
    # Whoever calls reads `body` alone: python-telegram-bot is told `true` for a result, which
    # spares reading the answer twice and building a Message of it (a sixth of a send's CPU).
    reads_body: bool = False


WIRE: ContextVar[Wire | None] = ContextVar("telegram_wire", default=None)


class StaleConnection(aiohttp.ClientConnectionError):
    """The pooled connection was closed by the server before anything was written to it."""


def _has_been_heard(proto: ResponseHandler) -> bool:
    """Whether the peer closed or spoke out of turn, even where the loop has not read it yet."""
    transport = proto.transport
    if transport is None or transport.is_closing() or proto.should_close:
        return True
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), _HEARD)
    return bool(poll.poll(0))


class FreshConnector(aiohttp.TCPConnector):
    """Hands out a pooled connection only while there is every reason to think that it lives.

    The one hook into aiohttp is `_get`, which picks from the pool; tests hold its behaviour
    against servers that close while idle, after each answer, and after every ten requests.
    What remains is a close that is on its way while the request is written: for a server whose
    idle limit is below IDLE_SECONDS that is learnt from the first connection found closed.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(keepalive_timeout=IDLE_SECONDS, **options)
        self._idle_limit = IDLE_SECONDS

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        conns = self._conns.get(key)
        while conns:
            proto, since = conns[0]  # the one that has been idle longest
            idle = monotonic() - since
            if _has_been_heard(proto):
                self._idle_limit = max(QUIET_SECONDS, min(self._idle_limit, idle) / 2)
            elif idle < QUIET_SECONDS:
                return None  # so are all behind it; they stay in the pool
            elif idle <= self._idle_limit:
                break
            conns.popleft()
            proto.close()
        found = await super()._get(key, traces)
        if found is not None:
            self._idle_limit = min(IDLE_SECONDS, self._idle_limit * RELEARN)
            if (wire := WIRE.get()) is not None:
                wire.reused = found.protocol
        return found


def _refuse_stale(wire: Wire) -> None:
    """Last look before the first byte; raising here means that nothing is written."""
    if wire.reused is not None and _has_been_heard(wire.reused):
        wire.started, wire.stale = False, True
        raise StaleConnection("the server closed the idle connection")


async def _before_headers(_session: object, context: Any, _params: object) -> None:
    wire: Wire = context.trace_request_ctx
    _refuse_stale(wire)
    wire.started = True


async def _before_body(_session: object, context: Any, _params: object) -> None:
    wire: Wire = context.trace_request_ctx
    if wire.reused is not None:  # headers and body leave in one write, after this
        _refuse_stale(wire)
        wire.reused = None  # a later chunk: bytes are out


def _socket(address: tuple[Any, ...]) -> socket.socket:
    made = socket.socket(address[0], address[1], address[2])
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    return made


class AiohttpRequest(BaseRequest):
    """One per event loop and purpose. A call ends after connect + answer seconds in all.

    Raises what python-telegram-bot expects of a transport: `TimedOut` and `NetworkError`.
    """

    __slots__ = ("_answer", "_connect", "_pool_size", "_session")

    def __init__(
        self,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        pool_size: int = POOL_SIZE,
    ) -> None:
        self._connect = connect_seconds
        self._answer = answer_seconds
        self._pool_size = pool_size
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float | None:
        """Seconds; getUpdates adds them to its own waiting time."""
        return self._answer

    async def initialize(self) -> None:
        """Make the session inside the loop that will send. Idempotent, also after shutdown."""
        if self._session is not None and not self._session.closed:
            return
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_before_headers)
        trace.on_request_chunk_sent.append(_before_body)
        self._session = aiohttp.ClientSession(
            connector=FreshConnector(limit=self._pool_size, socket_factory=_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.USER_AGENT},
            trace_configs=[trace],
        )

    async def shutdown(self) -> None:
        """Close every connection. Idempotent."""
        if self._session is not None:
            await self._session.close()

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: ODVInput[float] = BaseRequest.DEFAULT_NONE,
        write_timeout: ODVInput[float] = BaseRequest.DEFAULT_NONE,
        connect_timeout: ODVInput[float] = BaseRequest.DEFAULT_NONE,
        pool_timeout: ODVInput[float] = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Make one call; a connection found closed before the first byte is replaced, unseen."""
        wire = WIRE.get()
        if wire is None:
            wire = Wire()
        answer = read_timeout if isinstance(read_timeout, int | float) else self._answer
        connect = connect_timeout if isinstance(connect_timeout, int | float) else self._connect
        timeout = aiohttp.ClientTimeout(
            total=connect + answer,
            connect=connect,
            sock_connect=connect,
            ceil_threshold=connect + answer + 1,  # aiohttp rounds longer ones up to whole seconds
        )
        token = WIRE.set(wire)
        try:
            return await self._until_written(url, method, request_data, timeout, wire)
        except TimeoutError as error:  # includes aiohttp's ConnectionTimeoutError
            wire.cause = error
            sent = "sent" if wire.started else "not sent"
            raise TimedOut(f"{type(error).__name__}, {sent}") from error
        except (aiohttp.ClientError, OSError) as error:
            wire.cause = error
            raise NetworkError(f"aiohttp.{type(error).__name__}: {error}") from error
        finally:
            WIRE.reset(token)

    async def _until_written(
        self,
        url: str,
        method: str,
        data: RequestData | None,
        timeout: aiohttp.ClientTimeout,
        wire: Wire,
    ) -> tuple[int, bytes]:
        while True:
            wire.stale, wire.reused = False, None
            try:
                return await self._once(url, method, data, timeout, wire)
            except (aiohttp.ClientError, OSError):
                # Each round takes one closed connection out of the pool, so this ends.
                if not wire.stale or wire.started:
                    raise

    async def _once(
        self,
        url: str,
        method: str,
        data: RequestData | None,
        timeout: aiohttp.ClientTimeout,
        wire: Wire,
    ) -> tuple[int, bytes]:
        if self._session is None or self._session.closed:
            raise RuntimeError("AiohttpRequest is not initialized")
        async with self._session.request(
            method,
            url,
            data=_form(data),
            timeout=timeout,
            allow_redirects=False,  # a 307 would post twice
            trace_request_ctx=wire,
        ) as response:
            wire.status = response.status
            asked = response.headers.get("Retry-After", "")
            wire.retry_after = float(asked) if asked.isascii() and asked.isdigit() else None
            payload = await response.read()
        try:
            wire.body = json.loads(payload)
        except ValueError:
            wire.body = payload
            return response.status, payload
        if wire.reads_body and response.status == 200 and _is_good(wire.body):
            return response.status, _TRUE
        return response.status, payload


def _is_good(body: Any) -> bool:
    return isinstance(body, dict) and body.get("ok") is True and "result" in body


def _form(data: RequestData | None) -> aiohttp.FormData | dict[str, str] | None:
    if data is None:
        return None
    if not data.multipart_data:
        return data.json_parameters or None
    form = aiohttp.FormData(data.json_parameters)
    for name, (filename, content, mime) in data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=mime)
    return form


# asyncio.TimeoutError is the builtin since Python 3.11; aiohttp raises the former.
assert asyncio.TimeoutError is TimeoutError
