"""What the learner page and tests do: create people, write, press, block, look.

Everything lies under /sandbox/ and speaks JSON. It is no part of the Bot API.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from delivery.sandbox import markup
from delivery.sandbox.state import NAME, Json, Person, World

SHOWN = 200  # people in one answer of the list
_FIELDS: dict[str, Callable[[Any], Any]] = {
    "first_name": str,
    "language_code": str,
    "username": str,
    "started": bool,
    "blocked": bool,
}


def routes(world: World) -> web.RouteTableDef:
    """The control addresses over one world."""
    table = web.RouteTableDef()
    _add_reading(table, world)
    _add_people(table, world)
    _add_acting(table, world)
    _add_ruling(table, world)
    return table


def _add_reading(table: web.RouteTableDef, world: World) -> None:
    @table.get("/sandbox/health")
    async def health(_request: web.Request) -> web.Response:
        return _json({"ok": True, "name": NAME, "pid": os.getpid(), "open": world.open})

    @table.get("/sandbox/people")
    async def people(request: web.Request) -> web.Response:
        wanted = request.query.get("q", "").lower()
        found = [p for p in world.people.values() if wanted in f"{p.first_name} {p.id}".lower()]
        found.sort(key=lambda p: (-_last_id(world, p.id), p.id))
        summaries = [summary(world, person) for person in found[:SHOWN]]
        return _json({"total": len(found), "people": summaries, "bot": world.bot_user()})

    @table.get("/sandbox/people/{id}")
    async def one(request: web.Request) -> web.Response:
        person = _person(world, request)
        commands = next((c for c in world.commands.values() if c), [])
        return _json(
            {
                "person": summary(world, person),
                "messages": world.messages.get(person.id, []),
                "commands": commands,
            }
        )

    @table.get("/sandbox/messages")
    async def messages(request: web.Request) -> web.Response:
        after = int(request.query.get("after", "0"))
        listed = [m for chat in world.messages.values() for m in chat if m["message_id"] > after]
        return _json({"messages": sorted(listed, key=lambda m: int(m["message_id"]))})

    @table.get("/sandbox/callbacks/{id}")
    async def callback(request: web.Request) -> web.Response:
        found = world.callbacks.get(request.match_info["id"])
        return _json({"answer": found.answer if found else None})


def _add_people(table: web.RouteTableDef, world: World) -> None:
    @table.post("/sandbox/people")
    async def add(request: web.Request) -> web.Response:
        body = await _body(request)
        listed = body.get("people", [body])
        people = [_from_json(world, raw) for raw in listed]
        world.add_people(people)
        return _json({"people": [person.id for person in people]})

    @table.post("/sandbox/people/{id}/deactivate")
    async def deactivate(request: web.Request) -> web.Response:
        world.change(_person(world, request), deactivated=True)
        return _json({"ok": True})

    @table.post("/sandbox/people/{id}/block")
    async def block(request: web.Request) -> web.Response:
        world.set_blocked(_person(world, request), blocked=True)
        return _json({"ok": True})

    @table.post("/sandbox/people/{id}/unblock")
    async def unblock(request: web.Request) -> web.Response:
        world.set_blocked(_person(world, request), blocked=False)
        return _json({"ok": True})


def _add_acting(table: web.RouteTableDef, world: World) -> None:
    def said(person: Person, text: str) -> web.Response:
        plain, entities = markup.tidy(text[:4096], [])
        if not plain:
            raise _refusal(400, "nothing to say")
        message = world.say(person, plain, [entity.as_json() for entity in entities])
        return _json({"message": message})

    @table.post("/sandbox/people/{id}/start")
    async def start(request: web.Request) -> web.Response:
        payload = str((await _body(request)).get("payload") or "")
        return said(_person(world, request), f"/start {payload}".strip())

    @table.post("/sandbox/people/{id}/text")
    async def text(request: web.Request) -> web.Response:
        return said(_person(world, request), str((await _body(request)).get("text", "")))

    @table.post("/sandbox/people/{id}/press")
    async def press(request: web.Request) -> web.Response:
        person, body = _person(world, request), await _body(request)
        message = world.find_message(person.id, int(body.get("message_id", 0)))
        if message is None:
            raise _refusal(404, "no such message")
        rows = message.get("reply_markup", {}).get("inline_keyboard", [])
        offered = [
            button["callback_data"] for row in rows for button in row if "callback_data" in button
        ]
        # A hostile client can send any data; "anyway" plays one.
        data = str(body.get("data") or (offered[0] if offered else ""))
        if data not in offered and not body.get("anyway"):
            raise _refusal(409, "the message has no such button")
        return _json({"callback_id": world.press(person, message, data)})


def _add_ruling(table: web.RouteTableDef, world: World) -> None:
    @table.post("/sandbox/flags")
    async def flags(request: web.Request) -> web.Response:
        body = await _body(request)
        world.record("flags", **{key: bool(body[key]) for key in ("open", "limits") if key in body})
        return _json({"open": world.open, "limits": world.limits})

    @table.post("/sandbox/reset")
    async def reset(request: web.Request) -> web.Response:
        await _body(request)
        world.reset()
        return _json({"ok": True})


def summary(world: World, person: Person) -> Json:
    """One line of the list of people."""
    chat = world.messages.get(person.id, [])
    last = chat[-1] if chat else None
    return {
        "id": person.id,
        "first_name": person.first_name,
        "language_code": person.language_code,
        "started": person.started,
        "blocked": person.blocked,
        "deactivated": person.deactivated,
        "received": sum(message["from"]["is_bot"] for message in chat),
        "last_id": last["message_id"] if last else 0,
        "last_date": last["date"] if last else 0,
        "last_text": last["text"][:80] if last else "",
        "last_from_bot": bool(last and last["from"]["is_bot"]),
    }


def _last_id(world: World, chat_id: int) -> int:
    chat = world.messages.get(chat_id)
    return int(chat[-1]["message_id"]) if chat else 0


def _from_json(world: World, raw: Json) -> Person:
    try:
        chosen = int(raw.get("id") or max([1_000_000, *world.people]) + 1)
    except (TypeError, ValueError):
        raise _refusal(400, "the id of a person is a number") from None
    # Whoever is known keeps what is not said anew: importing twice never undoes a block.
    known = world.people.get(chosen) or Person(chosen, f"Learner {chosen}")
    said = {key: kind(raw[key]) for key, kind in _FIELDS.items() if raw.get(key) not in (None, "")}
    person = replace(known, **said)
    return replace(person, first_name=person.first_name[:64])


def _person(world: World, request: web.Request) -> Person:
    raw = request.match_info["id"]
    person = world.people.get(int(raw)) if raw.lstrip("-").isdigit() else None
    if person is None:
        raise _refusal(404, "no such person")
    return person


async def _body(request: web.Request) -> dict[str, Any]:
    """The JSON of a request. Other types are refused: a foreign page can send those unasked."""
    if request.content_type != "application/json":
        raise _refusal(415, "send application/json")
    try:
        body = await request.json()
    except ValueError:
        raise _refusal(400, "not JSON") from None
    if not isinstance(body, dict):
        raise _refusal(400, "send a JSON object")
    return body


def _refusal(status: int, problem: str) -> web.HTTPException:
    kinds: dict[int, type[web.HTTPException]] = {
        400: web.HTTPBadRequest,
        404: web.HTTPNotFound,
        409: web.HTTPConflict,
        415: web.HTTPUnsupportedMediaType,
    }
    text = json.dumps({"error": problem})
    return kinds[status](text=text, content_type="application/json")


def _json(data: Json) -> web.Response:
    return web.json_response(data)


class Stream:
    """Tells open pages which chat changed (server-sent events)."""

    def __init__(self, world: World) -> None:
        self.queues: set[asyncio.Queue[str | None]] = set()
        world.changed.append(self.tell)

    def tell(self, chat_id: int | None) -> None:
        """Pass a change on to every open page."""
        for queue in self.queues:
            queue.put_nowait(json.dumps({"chat": chat_id}))

    def close(self) -> None:
        """End every open stream, so that the server can stop at once."""
        for queue in self.queues:
            queue.put_nowait(None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /sandbox/events"""
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self.queues.add(queue)
        take: Callable[[], Any] = queue.get
        try:
            with contextlib.suppress(ConnectionError):
                await response.write(b"retry: 1000\n\n")
                while True:
                    try:
                        change = await asyncio.wait_for(take(), timeout=15)
                    except TimeoutError:
                        await response.write(b": still here\n\n")
                        continue
                    if change is None:
                        break
                    await response.write(f"data: {change}\n\n".encode())
        finally:
            self.queues.discard(queue)
        return response
