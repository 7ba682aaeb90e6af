"""Nobody was at work for six hours: what is owed then goes out in its order (P34)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from delivery import sender
from delivery.models import Delivery
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from nurture import flags, services
from nurture.services import alerts, figures
from tests.e2e.commands import TOKEN
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = timedelta(hours=1)
AWAY_AT, BACK_AT = make.NOW, make.NOW + 6 * HOUR
LATER = make.PLAIN.replace("  - key: hello\n", "  - key: hello\n    wait: {after: 150m}\n")


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.BOT_TOKEN, settings.STAGING_ALLOWED_CHATS = TOKEN, None
    settings.TELEGRAM_SENDS_PER_SECOND = 50.0
    with receiving(Receiver()) as running:
        settings.TELEGRAM_API_URL = running.url
        yield running


def late() -> list[tuple[str, str]]:
    """What staff are told of it."""
    found = alerts.alerts(figures.standing(now=BACK_AT))
    return [(alert.code.value, alert.told) for alert in found if alert.about == "late"]


def test_a_backlog_of_six_hours_goes_out_in_due_order(receiver: Receiver) -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)
    ensure_pacing()
    make.make_sequence(LATER)
    make.make_fact(contact=make.make_contact(name="Rosa Diaz"))
    services.tick(now=AWAY_AT)  # her journey waits for two and a half hours
    for hours in (5, 1, 3, 2, 4):
        make_delivery(text=f"due after {hours}", due_at=AWAY_AT + hours * HOUR)
    for hours in (2, 3):
        make_delivery(due_at=AWAY_AT + hours * HOUR, expires_at=BACK_AT - HOUR)

    assert late() == [
        ("deliveries_delayed", "The oldest delivery is 300 min late though its gates are open.")
    ]
    services.tick(now=BACK_AT)
    sender.drain(gateway, until_empty=True, simulated=BACK_AT)

    heard = [text for _, text in receiver.texts]
    assert heard == [
        "due after 1",
        "due after 2",
        "Hi Rosa, we missed you in Lesson 4.",
        *(f"due after {hours}" for hours in (3, 4, 5)),
    ]
    assert Delivery.objects.filter(status="expired", reason="expired").count() == 2
    assert late() == []
