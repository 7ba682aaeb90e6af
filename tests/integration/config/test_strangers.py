"""Who calls without the right secret meets a limit; who has it never does."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from config.strangers import REFUSALS, WINDOW_SECONDS
from delivery import inbound_tasks
from delivery.models import InboundUpdate
from tests.integration.delivery.inbound_updates import message

WEBHOOK, METRICS = "/telegram/webhook/", "/metrics"
SECRET, TOKEN = "a-Secret_1", "a-token-for-the-page-of-figures"
HERE, THERE = "203.0.113.7", "203.0.113.8"
REFUSED, WAIT = (403, ""), (429, str(WINDOW_SECONDS))
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _doors(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have a secret, and nobody was counted yet."""
    settings.TELEGRAM_WEBHOOK_SECRET, settings.METRICS_TOKEN = SECRET, TOKEN
    monkeypatch.setattr(inbound_tasks, "ring", lambda: None)
    cache.clear()


class Unread(BytesIO):
    """A body that nobody may read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


def push(secret: str, *, at: str = HERE, said: str = "", **more: Any) -> Any:
    """POST an update as Telegram does, from an address; `said` to be behind proxies."""
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
    if said:
        headers["X-Forwarded-For"] = said
    body = json.dumps(message(5, "hello"))
    return Client(REMOTE_ADDR=at).post(
        WEBHOOK, body, content_type="application/json", headers=headers, **more
    )


def guess(secret: str = "wrong", *, at: str = HERE, said: str = "") -> tuple[int, str]:
    """Push a body that must not be read; return the status, and for how long to wait."""
    unread: dict[str, Any] = {"wsgi.input": Unread()}
    answer = push(secret, at=at, said=said, **unread)
    return answer.status_code, answer.headers.get("Retry-After", "")


def scrape(token: str, *, at: str = HERE) -> int:
    """Ask for the figures from an address; return the status."""
    headers = {"authorization": f"Bearer {token}"}
    return Client(REMOTE_ADDR=at).get(METRICS, headers=headers).status_code


def test_an_address_that_guesses_is_told_to_wait_and_nobody_else() -> None:
    """The right secret passes meanwhile, also from there, however often, and ends no wait."""
    assert [guess() for _ in range(REFUSALS)] == [REFUSED] * REFUSALS

    assert guess("") == WAIT
    assert {push(SECRET).status_code for _ in range(REFUSALS + 1)} == {200}
    assert (guess(), guess(at=THERE)) == (WAIT, REFUSED)
    assert Client(REMOTE_ADDR=HERE).get(WEBHOOK).status_code == 429
    assert InboundUpdate.objects.count() == 1


def test_who_has_a_whole_network_is_one_caller() -> None:
    """RFC 6177: a line is given a /64 or more, so that each guess may come from a new address."""
    seen = [guess(at=f"2001:db8:0:7::{n:x}") for n in range(REFUSALS + 1)]

    assert seen == [REFUSED] * REFUSALS + [WAIT]
    assert guess(at="2001:db8:0:8::1") == REFUSED
    assert [guess(at=f"::ffff:{HERE}") for _ in range(REFUSALS)] == [REFUSED] * REFUSALS
    assert (guess(at=HERE), guess(at=f"::ffff:{THERE}"), guess(at="?")) == (WAIT, REFUSED, REFUSED)


def test_the_page_of_figures_shares_the_count() -> None:
    assert [scrape("wrong") for _ in range(REFUSALS + 1)] == [401] * REFUSALS + [429]

    assert (guess(), scrape("wrong", at=THERE)) == (WAIT, 401)
    assert scrape(TOKEN) == 200


def test_the_address_is_what_the_proxies_saw(settings: Any) -> None:
    """Whatever else the caller says of where it is."""
    settings.IS_LOCAL = False
    seen = [
        guess(at="10.0.0.1", said=f"198.51.100.{n}, {HERE}, 172.68.0.1")
        for n in range(REFUSALS + 1)
    ]

    assert seen == [REFUSED] * REFUSALS + [WAIT]
    assert guess(at="10.0.0.1", said=f"{HERE}, {THERE}, 172.68.0.1") == REFUSED


def test_a_count_ends_by_itself_and_shows_no_address() -> None:
    guess()
    redis: Any = cache._cache.get_client()  # type: ignore[attr-defined]
    (key,) = redis.keys("*")
    assert 0 < redis.ttl(key) <= WINDOW_SECONDS
    assert HERE not in key.decode()

    redis.set(key, 0)  # as if it had ended between two steps: made anew, and without an end
    guess()
    assert 0 < redis.ttl(key) <= WINDOW_SECONDS


@pytest.fixture
def silent() -> Iterator[str]:
    """A Redis that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def cache_at(settings: Any) -> Callable[[str], None]:
    def move(url: str) -> None:
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": url}}

    return move


def test_without_redis_nobody_is_counted_and_the_secret_still_is_asked(
    cache_at: Callable[[str], None],
) -> None:
    cache_at("redis://127.0.0.1:1")  # refuses

    assert [guess() for _ in range(REFUSALS + 3)] == [REFUSED] * (REFUSALS + 3)
    assert push(SECRET).status_code == 200
    assert InboundUpdate.objects.count() == 1


def test_a_redis_that_says_nothing_holds_nobody_up(
    cache_at: Callable[[str], None], silent: str
) -> None:
    cache_at(silent)

    assert guess() == REFUSED
    assert push(SECRET).status_code == 200
