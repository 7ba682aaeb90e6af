"""Rows of delivery for tests: typed functions, one line of story each."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from delivery import sender, services
from delivery.models import Chat, Delivery
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway

LONG_AGO = datetime(2026, 1, 5, 12, tzinfo=UTC)
_numbers = itertools.count(1)


def make_chat(**overrides: Any) -> Chat:
    """A chat that is reachable and consents."""
    return services.register_chat(**({"telegram_id": 700_000 + next(_numbers)} | overrides))


def make_delivery(**overrides: Any) -> Delivery:
    """A delivery that has long been due, to a chat of its own."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "text": f"Hello {number}",
        "dedupe_key": f"test:{number}",
        "due_at": LONG_AGO,
    } | overrides
    chat: Chat = values.pop("chat", None) or make_chat()
    return services.enqueue(chat=chat, **values)


def send_aside() -> None:
    """What is due goes out by the real sender, beside a browser."""
    ensure_pacing()
    aside(sender.drain, gateway, until_empty=True)


def aside(work: Callable[..., object], *given: object, **named: object) -> None:
    """Do something that needs an event loop: a browser has the one of this thread."""
    thread = threading.Thread(target=work, args=given, kwargs=named)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
