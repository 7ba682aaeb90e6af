"""The webhook stores and acknowledges, whoever knocks (delivery of updates; F13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from django.test import Client, override_settings

from delivery import inbound_tasks
from delivery.models import InboundUpdate
from tests.integration.delivery.inbound_updates import message

SECRET = "a-Secret_1"
URL = "/telegram/webhook/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """How often the bell was rung; nobody hears it here."""
    bells: list[None] = []
    monkeypatch.setattr(inbound_tasks, "ring", lambda: bells.append(None))
    with override_settings(TELEGRAM_WEBHOOK_SECRET=SECRET):
        yield bells


def post(body: bytes | dict[str, Any], secret: str | None = SECRET) -> int:
    """POST a body and return the status."""
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    headers = {} if secret is None else {"X-Telegram-Bot-Api-Secret-Token": secret}
    answer = Client().post(URL, raw, content_type="application/json", headers=headers)
    return answer.status_code


def test_an_update_is_stored_and_rung_for(rung: list[None]) -> None:
    assert post(message(5, "hello")) == 200
    stored = InboundUpdate.objects.get()
    assert (stored.update_id, stored.handled_at) == (5, None)
    assert InboundUpdate.objects.filter(chat_key=7).exists()
    assert stored.payload == message(5, "hello")
    assert len(rung) == 1


def test_ten_times_the_same_is_one_row_and_always_200() -> None:
    assert {post(message(5, "hello")) for _ in range(10)} == {200}
    assert InboundUpdate.objects.count() == 1


@pytest.mark.parametrize(
    "secret", [None, "", "wrong", SECRET + "x", SECRET[:-1], "ä", "A-SECRET_1"]
)
def test_without_the_secret_it_is_403_and_the_body_is_not_read(secret: str | None) -> None:
    assert post(b"x" * 3_000_000, secret) == 403
    assert post(message(5, "hello"), secret) == 403
    assert not InboundUpdate.objects.exists()


def test_who_knocks_without_the_secret_costs_next_to_nothing(
    django_assert_num_queries: Any, rung: list[None]
) -> None:
    """No query, no session, no bell."""
    with django_assert_num_queries(0):
        assert [post(message(5, "hello"), "wrong") for _ in range(3)] == [403] * 3
    assert rung == []


def test_with_no_secret_set_nobody_gets_in() -> None:
    with override_settings(TELEGRAM_WEBHOOK_SECRET=""):
        assert post(message(5, "hello"), "") == 403
        assert post(message(5, "hello"), None) == 403


def test_more_than_a_megabyte_is_413() -> None:
    assert post(b" " * (1024**2 + 1)) == 413


@pytest.mark.parametrize(
    "body",
    [
        b"", b"not json", b"[]", b"1", b"{}", b'{"update_id": "1"}', b'{"update_id": NaN}',
        b"[" * 100_000, b"\xff\xfe", b'{"update_id": 1e400}',
    ],
)  # fmt: skip
def test_what_is_no_update_is_400(body: bytes) -> None:
    assert post(body) == 400
    assert not InboundUpdate.objects.exists()


def test_texts_with_nul_and_lone_surrogates_are_taken() -> None:
    assert post(b'{"update_id": 1, "message": {"text": "a\\u0000b\\ud800"}}') == 200
    assert InboundUpdate.objects.get().payload["message"]["text"] == "ab?"


def test_only_post_is_answered() -> None:
    assert Client().get(URL).status_code == 405


def test_a_silent_redis_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def refused() -> None:
        raise redis.ConnectionError("no broker")

    monkeypatch.setattr(inbound_tasks.handle_updates, "send", refused)
    with override_settings(TELEGRAM_WEBHOOK_SECRET=SECRET):
        assert post(message(5, "hello")) == 200
