"""What `Call` says for each thing a Bot API server can do (P15, S03).

`started` is False exactly where nothing was written, and no exception ever comes out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from delivery.domain.outcome import Consequence, Kind, judge
from delivery.gateways import Call
from delivery.telegram import TelegramGateway
from tests.integration.delivery.scripted import Peer, Talk, leap, serving

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SENT = {
    "ok": True,
    "result": {
        "message_id": 9, "date": 1, "chat": {"id": 7, "type": "private", "first_name": "x"},
        "text": "x",
    },
}  # fmt: skip


def error(code: int, description: str, **parameters: Any) -> dict[str, Any]:
    """A refusal in Telegram's shape."""
    extra = {"parameters": parameters} if parameters else {}
    return {"ok": False, "error_code": code, "description": description} | extra


def answers(status: int, body: object, headers: str = "") -> Talk:
    """A server with one answer for everything."""

    async def talk(peer: Peer) -> None:
        while await peer.request() is not None:
            await peer.answer(status, body, headers)

    return talk


async def silent(peer: Peer) -> None:
    """Reads, and never says anything."""
    await peer.request()
    await asyncio.sleep(9)


async def half_an_answer(peer: Peer) -> None:
    """Stops in the middle of the body."""
    await peer.request()
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
    await asyncio.sleep(9)


async def cut_answer(peer: Peer) -> None:
    """Closes in the middle of the body."""
    await peer.request()
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")


async def closes(peer: Peer) -> None:
    """Closes after the request."""
    await peer.request()


async def resets(peer: Peer) -> None:
    """RST after the request."""
    await peer.request()
    peer.reset()


async def resets_on_accept(peer: Peer) -> None:
    """RST before anything was read: from here it cannot be told from the one above."""
    peer.reset()


async def garbage_head(peer: Peer) -> None:
    """No HTTP at all."""
    await peer.request()
    await peer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


R, U, N, S = Kind.REJECTED, Kind.UNKNOWN, Kind.NOT_SENT, Kind.SENT
FAIL, HOLD, STOP = Consequence.FAIL, Consequence.HOLD_BOT, Consequence.STOP_BOT

TABLE: list[tuple[str, Talk, int | None, Kind, Consequence | None]] = [
    ("sent", answers(200, SENT), 200, S, None),
    ("blocked", answers(403, error(403, "Forbidden: bot was blocked by the user")), 403, R, FAIL),
    ("deactivated", answers(403, error(403, "Forbidden: user is deactivated")), 403, R, FAIL),
    ("never started",
     answers(403, error(403, "Forbidden: bot can't initiate conversation with a user")),
     403, R, FAIL),
    ("kicked", answers(403, error(403, "Forbidden: bot was kicked from the group chat")),
     403, R, FAIL),
    ("chat not found", answers(400, error(400, "Bad Request: chat not found")), 400, R, FAIL),
    ("markup", answers(400, error(400, "Bad Request: can't parse entities: x")), 400, R, FAIL),
    ("too long", answers(400, error(400, "Bad Request: message is too long")), 400, R, FAIL),
    ("button", answers(400, error(400, "Bad Request: BUTTON_DATA_INVALID")), 400, R, FAIL),
    ("migrated", answers(400, error(400, "Bad Request: group chat was upgraded",
                                    migrate_to_chat_id=-1001)), 400, R, Consequence.MIGRATE),
    ("flood", answers(429, error(429, "Too Many Requests: retry after 7", retry_after=7),
                      "Retry-After: 7\r\n"), 429, R, HOLD),
    ("429 of a proxy", answers(429, "<html>slow down</html>"), 429, R, HOLD),
    ("unauthorized", answers(401, error(401, "Unauthorized")), 401, R, STOP),
    ("not found", answers(404, error(404, "Not Found")), 404, R, STOP),
    ("conflict", answers(409, error(409, "Conflict: terminated")), 409, R, FAIL),
    ("too large", answers(413, error(413, "Request Entity Too Large")), 413, R, FAIL),
    ("500", answers(500, error(500, "Internal Server Error: restart")), 500, U, None),
    ("502 html", answers(502, "<html>Bad Gateway</html>"), 502, U, None),
    ("504 empty", answers(504, ""), 504, U, None),
    ("200 garbage", answers(200, "not json"), 200, U, None),
    ("200 empty", answers(200, ""), 200, U, None),
    ("200 ok false", answers(200, {"ok": False}), 200, U, None),
    ("200 a list", answers(200, [1]), 200, U, None),
    ("200 strange result", answers(200, {"ok": True, "result": {"x": 1}}), 200, U, None),
    ("redirect", answers(307, "", "Location: /elsewhere\r\n"), 307, R, Consequence.RETRY),
    ("silence", silent, None, U, None),
    ("half an answer, then silence", half_an_answer, 200, U, None),
    ("half an answer, then closed", cut_answer, 200, U, None),
    ("closed after the request", closes, None, U, None),
    ("reset after the request", resets, None, U, None),
    ("reset on accept", resets_on_accept, None, U, None),
    ("no HTTP", garbage_head, None, U, None),
]  # fmt: skip


async def send(url: str, **options: Any) -> Call:
    """One send through a gateway of its own."""
    times = {"connect_seconds": 0.3, "answer_seconds": 0.3}
    door = TelegramGateway(token=TOKEN, api_url=url, **times)
    await door.open()
    try:
        wanted: dict[str, Any] = {"chat_id": 7, "text": "x", "delivery_id": 1} | options
        return await door.send(**wanted)
    finally:
        await door.close()


@pytest.mark.parametrize(
    ("talk", "status", "kind", "consequence"),
    [pytest.param(*row[1:], id=row[0]) for row in TABLE],
)
def test_call_and_verdict(
    talk: Talk, status: int | None, kind: Kind, consequence: Consequence | None
) -> None:
    async def scenario() -> tuple[Call, int]:
        async with serving(talk) as server:
            return await send(server.url), len(server.seen)

    call, seen = leap(scenario())
    assert call.started
    assert call.status == status
    assert seen <= 1  # never repeated
    verdict = judge(started=call.started, status=call.status, body=call.body)
    assert (verdict.kind, verdict.consequence) == (kind, consequence)
    assert bool(call.cause) == (status is None or talk in (half_an_answer, cut_answer))


@pytest.mark.parametrize(("header", "asked"), [("7", 7), ("soon", None), ("", None)])
def test_the_header_of_a_429_is_heard(header: str, asked: float | None) -> None:
    async def scenario() -> Call:
        headers = f"Retry-After: {header}\r\n" if header else ""
        async with serving(answers(429, "<html>slow down</html>", headers)) as server:
            return await send(server.url)

    assert leap(scenario()).retry_after == asked


async def _refused() -> Call:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return await send(f"http://127.0.0.1:{port}")


async def _no_such_name() -> Call:
    return await send("http://no-such-host.invalid")


async def _tls_against_plain() -> Call:
    async with serving(closes) as server:
        return await send(server.url.replace("http:", "https:"))


async def _nobody_accepts() -> Call:
    """A full backlog: the SYN is never answered, as in a black hole."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        clients = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(deaf.getsockname())
            clients.append(client)
        call = await send(f"http://127.0.0.1:{deaf.getsockname()[1]}")
        for client in clients:
            client.close()
    return call


async def _not_opened() -> Call:
    return await TelegramGateway(token=TOKEN, api_url="http://127.0.0.1:9").send(
        chat_id=7, text="x", delivery_id=1
    )


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        (_refused, "ClientConnectorError"),
        (_no_such_name, "ClientConnectorDNSError"),
        (_tls_against_plain, ""),
        (_nobody_accepts, "ConnectionTimeoutError"),
        (_not_opened, "NetworkError"),
    ],
)
def test_nothing_written_is_not_started(trouble: Callable[[], Awaitable[Call]], cause: str) -> None:
    async def scenario() -> Call:
        return await trouble()

    call = asyncio.run(scenario())
    assert (call.started, call.status) == (False, None)
    assert call.cause
    assert cause in call.cause
    assert judge(started=call.started, status=None, body=None).kind is Kind.NOT_SENT


def test_cancellation_passes_through() -> None:
    async def scenario() -> None:
        async with serving(silent) as server:
            task = asyncio.create_task(send(server.url))
            while not server.seen:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scenario())


def test_a_call_ends_by_its_total_even_when_bytes_trickle() -> None:
    async def trickle(peer: Peer) -> None:
        await peer.request()
        await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        while True:
            await peer.write(b" ")
            await asyncio.sleep(0.05)

    async def scenario() -> tuple[Call, float]:
        loop = asyncio.get_running_loop()
        async with serving(trickle) as server:
            begun = loop.time()
            return await send(server.url), loop.time() - begun

    call, seconds = leap(scenario())
    assert call.cause
    assert seconds < 1.5


def test_what_is_sent() -> None:
    """HTML, no link preview, buttons that carry the delivery, addresses as addresses."""

    async def scenario() -> dict[str, list[str]]:
        async with serving(answers(200, SENT)) as server:
            buttons = [[("I was there", "dispute"), ("Schedule", "https://example.org/s")]]
            call = await send(server.url, text="<b>x</b>", buttons=buttons, delivery_id=71)
            assert call.body == SENT
            return parse_qs(server.seen[0].decode())

    form = asyncio.run(scenario())
    assert form["parse_mode"] == ["HTML"]
    assert form["text"] == ["<b>x</b>"]
    assert '"is_disabled": true' in form["link_preview_options"][0]
    assert '"callback_data": "v1:1z:dispute"' in form["reply_markup"][0]
    assert '"url": "https://example.org/s"' in form["reply_markup"][0]


def test_the_token_is_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """S13: not by us, not by python-telegram-bot, whatever the server does."""
    caplog.set_level(logging.INFO)

    async def scenario() -> None:
        for talk in (answers(200, "garbage"), answers(200, {"ok": False}), closes):
            async with serving(talk) as server:
                call = await send(server.url)
                assert TOKEN not in repr(call)

    asyncio.run(scenario())
    assert TOKEN not in caplog.text
    assert "Traceback" not in caplog.text


def test_sending_never_asks_who_the_bot_is() -> None:
    async def scenario() -> int:
        async with serving(answers(200, SENT)) as server:
            await send(server.url)
            return len(server.seen)

    assert asyncio.run(scenario()) == 1
