"""The learner page in a real browser: read, press, type, block (S05)."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from playwright.sync_api import Browser, Page, expect

from delivery.sandbox import methods
from delivery.sandbox.app import build_app
from delivery.sandbox.state import Person, World

pytestmark = [
    pytest.mark.browser,
    # Playwright leaves a transport to the garbage collector when its driver ends.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
HOSTILE = "<img src=x onerror=alert(1)> & \u202eabc"


class Proxy:
    """Calls into the world from another thread, in the loop that owns it."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world, self.loop = world, loop

    def bot(self, method: str, **params: Any) -> Any:
        """One Bot API method."""

        async def call() -> Any:
            return methods.table()[method](self.world, params)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)

    def updates(self) -> list[dict[str, Any]]:
        """What the bot would be given."""
        return [update for _, update in [*self.world.updates]]


@pytest.fixture
def world() -> Iterator[tuple[Proxy, str]]:
    """A sandbox in a thread, with two people."""
    world = World()
    world.add_people([Person(7, "Rosa", started=True), Person(8, "<b>Ahmed</b>")])
    loop, ready = asyncio.new_event_loop(), threading.Event()
    urls: list[str] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = web.AppRunner(build_app(world), access_log=None, shutdown_timeout=0.5)
        loop.run_until_complete(runner.setup())
        loop.run_until_complete(web.TCPSite(runner, "127.0.0.1", 0).start())
        urls.append(f"http://127.0.0.1:{runner.addresses[0][1]}")
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(10)
    yield Proxy(world, loop), urls[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


@pytest.fixture
def page(chromium: Browser, world: tuple[Proxy, str]) -> Iterator[Page]:
    """The page, with every complaint of the browser counted as a failure."""
    complaints: list[str] = []
    opened = chromium.new_page()
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None,
    )
    opened.goto(world[1])
    yield opened
    opened.close()
    assert complaints == []


def test_a_learner_reads_presses_types_and_blocks(world: tuple[Proxy, str], page: Page) -> None:
    box = world[0]
    page.get_by_role("button", name="Rosa").click()
    buttons = {"inline_keyboard": [[{"text": "I was there", "callback_data": "v1:1:dispute"}]]}
    text = "Hi <b>Rosa</b> &lt;img src=x onerror=alert(1)&gt;"
    box.bot("sendmessage", chat_id=7, text=text, parse_mode="HTML", reply_markup=buttons)
    expect(page.locator(".bubble strong")).to_have_text("Rosa")
    expect(page.locator(".bubble")).to_contain_text("<img src=x onerror=alert(1)>")

    page.get_by_role("button", name="I was there").click()
    page.wait_for_function("document.querySelector('.key[aria-busy]')")
    query = next(u["callback_query"] for u in _until(box, "callback_query"))
    box.bot("answercallbackquery", callback_query_id=query["id"], text="Thank you")
    expect(page.get_by_role("status")).to_have_text("Thank you")
    box.bot("editmessagereplymarkup", chat_id=7, message_id=query["message"]["message_id"])
    expect(page.get_by_role("button", name="I was there")).to_have_count(0)

    page.get_by_label("Message", exact=True).fill(HOSTILE)
    page.get_by_label("Message", exact=True).press("Enter")
    expect(page.locator(".mine .bubble")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator(".bubble img").count() == 0

    page.get_by_role("button", name="Block").click()
    expect(page.get_by_role("button", name="Restart the bot")).to_be_visible()
    page.get_by_role("button", name="Restart the bot").click()
    expect(page.locator(".mine .bubble").last).to_contain_text("/start")
    statuses = [
        update["my_chat_member"]["new_chat_member"]["status"]
        for update in _until(box, "my_chat_member", count=2)
    ]
    assert statuses == ["kicked", "member"]


def test_somebody_new_presses_start_and_follows_a_link(
    world: tuple[Proxy, str], page: Page
) -> None:
    box = world[0]
    page.get_by_role("button", name="<b>Ahmed</b>").click()
    page.get_by_role("button", name="Link…").click()
    page.get_by_label("Link or token").fill("https://t.me/telbot_sandbox_bot?start=abc-_1")
    page.get_by_role("button", name="Open").click()
    expect(page.locator(".mine .bubble")).to_contain_text("/start abc-_1")
    (start,) = _until(box, "message")
    assert start["message"]["text"] == "/start abc-_1"

    page.get_by_role("button", name="New person").click()
    page.get_by_label("First name").fill("Zoë")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="Zoë")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".mine .bubble")).to_contain_text("/start")


def test_people_who_got_something_stand_first_and_are_marked(
    world: tuple[Proxy, str], page: Page
) -> None:
    box = world[0]
    box.bot("sendmessage", chat_id=7, text="hello")
    first = page.locator(".person").first
    expect(first).to_contain_text("Rosa")
    expect(first.locator(".badge")).to_have_text("new")
    first.click()
    expect(page.locator(".person").first.locator(".badge")).to_have_count(0)


def _until(box: Proxy, kind: str, *, count: int = 1) -> list[dict[str, Any]]:
    for _ in range(500):
        found = [update for update in box.updates() if kind in update]
        if len(found) >= count:
            return found
        threading.Event().wait(0.01)
    raise AssertionError(f"no {kind} came")
