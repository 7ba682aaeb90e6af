"""The sandbox as one web application: the Bot API, the control addresses, the learner page."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from delivery.sandbox import control, methods
from delivery.sandbox.rules import ApiError, bad_request
from delivery.sandbox.state import Json, World
from delivery.sandbox.webhook import Webhook

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
# Another API of this process: (method, path with query, headers, body) -> (status, headers, body)
PlainHandler = Callable[[str, str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
LONGEST_POLL = 50.0  # seconds, as the official server
STATIC = Path(__file__).resolve().parent / "static"
PAGES = {
    "/": ("index.html", "text/html"),
    "/app.css": ("app.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
WORLD: web.AppKey[World] = web.AppKey("world", World)


def build_app(world: World, *, mounts: Mapping[str, Handler] | None = None) -> web.Application:
    """Compose the application. `mounts` gives further path prefixes to other handlers.

    `plain` makes such a handler from a synchronous function.
    """
    app = web.Application(middlewares=[_only_loopback], client_max_size=10 * 1024**2)
    app[WORLD] = world
    bot = BotApi(world)
    stream = control.Stream(world)
    app.router.add_route("*", r"/bot{token:[^/]+}/{method}", bot.handle)
    app.router.add_get("/sandbox/events", stream.handle)
    app.add_routes(control.routes(world))
    for path, (name, content_type) in PAGES.items():
        app.router.add_get(path, _page(STATIC / name, content_type))
    for prefix, handler in (mounts or {}).items():
        app.router.add_route("*", prefix, handler)
        app.router.add_route("*", prefix.rstrip("/") + "/{tail:.*}", handler)
    app.cleanup_ctx.append(bot.background)

    async def end_streams(_app: web.Application) -> None:
        stream.close()
        bot.stop()

    app.on_shutdown.append(end_streams)
    return app


def plain(handle: PlainHandler) -> Handler:
    """Make a mountable handler from a synchronous one; it runs in a thread."""

    async def adapted(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        status, headers, answer = await asyncio.to_thread(
            handle, request.method, request.raw_path, request.headers, body
        )
        return web.Response(status=status, headers=dict(headers), body=answer)

    return adapted


def run(app: web.Application, *, host: str, port: int, ready: Callable[[int], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the port.

    It is `port`, or one that the system chose where that is 0 or taken.
    """
    if host not in LOOPBACK:
        raise ValueError("the sandbox listens on a loopback address only: it has no login")
    asyncio.run(_serve(app, host, port, ready))


async def _serve(app: web.Application, host: str, port: int, ready: Callable[[int], None]) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        await _listen(runner, host, port)
        ready(runner.addresses[0][1])
        await stop.wait()
    finally:
        await runner.cleanup()
        app[WORLD].close()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        log.warning("sandbox.port_taken", extra={"port": port})
        await web.TCPSite(runner, host, 0).start()


class BotApi:
    """Answers /bot<token>/<method> as api.telegram.org does."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.methods = methods.table()
        self.webhook = Webhook(world, self.call)
        self.polls = 0  # number of the newest getUpdates call
        self.woken = asyncio.Event()
        self.stopped = False
        world.changed.append(self._wake)

    def _wake(self, _chat_id: int | None) -> None:
        self.woken.set()
        self.webhook.wake.set()

    def stop(self) -> None:
        """Let waiting polls return at once."""
        self.stopped = True
        self.woken.set()

    async def background(self, _app: web.Application) -> AsyncIterator[None]:
        """Run the webhook pusher while the application runs."""
        task = asyncio.create_task(self.webhook.run())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def call(self, method: str, params: Json) -> Any:
        """Carry out one method that does not wait."""
        found = self.methods.get(method.lower())
        if found is None:
            raise ApiError(404, "Not Found")
        return found(self.world, params)

    async def handle(self, request: web.Request) -> web.Response:
        """One Bot API request: GET or POST; query, form, multipart or JSON."""
        try:
            self._check_token(request.match_info["token"])
            params = await _params(request)
            method = request.match_info["method"]
            if method.lower() == "getupdates":
                result: Any = await self.get_updates(params)
            else:
                result = self.call(method, params)
        except ApiError as error:
            wait = error.parameters.get("retry_after")
            headers = {"Retry-After": str(wait)} if wait else {}
            return web.json_response(error.as_json(), status=error.code, headers=headers)
        return web.json_response({"ok": True, "result": result})

    def _check_token(self, token: str) -> None:
        number, colon, rest = token.partition(":")
        if not (number.isdigit() and colon and rest):
            raise ApiError(404, "Not Found")
        if token != self.world.token:
            raise ApiError(401, "Unauthorized")

    async def get_updates(self, params: Json) -> list[Json]:
        """Long polling; the newest caller wins, as with Telegram."""
        self.polls += 1
        mine = self.polls
        self.woken.set()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(methods.number(params, "timeout"), LONGEST_POLL)
        while True:
            if self.polls != mine:
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; "
                    "make sure that only one bot instance is running",
                )
            updates = methods.take_updates(self.world, params)
            left = deadline - loop.time()
            if updates or left <= 0 or self.stopped:
                return updates
            self.woken = asyncio.Event() if self.woken.is_set() else self.woken
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), left)


async def _params(request: web.Request) -> Json:
    params: Json = dict(request.query)
    if request.method == "GET" or not request.body_exists:
        return params
    if request.content_type == "application/json":
        try:
            body = await request.json()
        except ValueError:
            raise bad_request("can't parse JSON object") from None
        return params | (body if isinstance(body, dict) else {})
    form = await request.post()
    return params | {key: value for key, value in form.items() if isinstance(value, str)}


def _page(path: Path, content_type: str) -> Handler:
    async def serve(_request: web.Request) -> web.StreamResponse:
        headers = SECURITY_HEADERS | {"Cache-Control": "no-cache"}
        return web.Response(
            body=path.read_bytes(), content_type=content_type, charset="utf-8", headers=headers
        )

    return serve


@web.middleware
async def _only_loopback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse foreign host names: a web page that rebinds its name must not get in."""
    if urlsplit(f"//{request.host}").hostname not in LOOPBACK:
        raise web.HTTPForbidden(text="the sandbox answers to loopback names only")
    return await handler(request)
