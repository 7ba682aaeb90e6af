"""What stands between us and Telegram says anything at all; it costs no chat and nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from delivery import sender
from delivery.models import Chat, Delivery
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from tests.factories.delivery import make_delivery
from tests.integration.delivery.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_proxys_refusal_costs_no_chat(receiver: Receiver) -> None:
    """Only Telegram's own JSON says that a chat is lost."""
    receiver.rule = lambda _chat, _text: (403, {})
    delivery = make_delivery()

    ensure_pacing()
    sender.drain(gateway, until_empty=True)

    delivery.refresh_from_db()
    assert delivery.status == "pending"
    assert Chat.objects.get().reachability == "ok"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((429, {"parameters": {"retry_after": 3_000_000_000}}), "pending"),
        ((429, {"parameters": {"retry_after": 1e300}}), "pending"),
        ((400, {"description": "Bad Request: \0", "error_code": 10**12}), "failed"),
        ((302, {}), "pending"),
    ],
)
def test_an_answer_of_nonsense_costs_nobody_else(
    receiver: Receiver, answer: Any, status: str
) -> None:
    """Whatever stands between us and Telegram: what came of the other calls is recorded."""
    odd = make_delivery()
    refused = odd.chat.telegram_id
    receiver.rule = lambda chat, _text: answer if chat == refused else None
    for _ in range(4):
        make_delivery()

    ensure_pacing()
    sender.drain(gateway, until_empty=True)

    odd.refresh_from_db()
    assert odd.status == status
    assert Delivery.objects.filter(status="sent").count() == receiver.total
    assert not Delivery.objects.filter(status__in=["leased", "sending", "unknown"]).exists()
