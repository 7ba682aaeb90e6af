"""A sequence that fails is held, with the reason, and loses nothing of what it owes (P16, P17)."""

from __future__ import annotations

from typing import Any

import pytest

from delivery import clock, sender, services
from delivery.ledger import PAUSE_FAILURES
from delivery.models import Attempt, Delivery, Gate
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from tests.factories.delivery import make_delivery
from tests.integration.delivery.receiver import Answer, Receiver

pytestmark = pytest.mark.django_db(transaction=True)
OPEN_YEAR = 2000


def refusing(code: int, text: str, *, every: int = 1) -> Any:
    """A rule that refuses each n-th message."""
    count = iter(range(1, 10_000))

    def rule(_chat: int, _text: str) -> Answer | None:
        body = {"ok": False, "error_code": code, "description": text}
        return (code, body) if next(count) % every == 0 else None

    return rule


def owe(count: int, stream: str = "welcome", **known: Any) -> None:
    for _ in range(count):
        make_delivery(stream=stream, **known)


def drain() -> None:
    ensure_pacing()
    sender.drain(gateway, until_empty=True)


def left(stream: str = "welcome") -> int:
    """How many messages of a sequence are still owed."""
    return Delivery.objects.filter(stream=f"stream:{stream}", status="pending").count()


def gate(stream: str = "welcome") -> Gate:
    return Gate.objects.get(key=f"stream:{stream}")


BLOCKED = (403, "Forbidden: bot was blocked by the user")
PARSE = (400, "Bad Request: can't parse entities: unclosed tag")


def test_words_that_telegram_refuses_hold_their_sequence_at_once(receiver: Receiver) -> None:
    receiver.rule = refusing(*PARSE)
    owe(60)

    drain()

    assert receiver.refused <= 3 * sender.IN_FLIGHT  # what was in flight, and claimed with it
    assert left() == 60 - receiver.refused
    assert gate().closed_until.year == 2999
    assert gate().reason == f"Telegram refuses its words: {PARSE[1]}"
    assert gate().closed_by == "sender"


def test_another_sequence_goes_on(receiver: Receiver) -> None:
    bad = refusing(*PARSE)
    receiver.rule = lambda chat, text: bad(chat, text) if text == "bad" else None
    owe(5, text="bad")
    owe(20, stream="other")

    drain()

    assert left("other") == 0
    assert gate("other").closed_until.year == OPEN_YEAR


def test_many_failures_among_the_last_hold_the_sequence(receiver: Receiver) -> None:
    """Each fourth is blocked: 12 of the last 50."""
    receiver.rule = refusing(*BLOCKED, every=4)
    owe(100)

    drain()

    assert PAUSE_FAILURES <= receiver.refused < PAUSE_FAILURES + sender.IN_FLIGHT
    assert left() > 20
    assert "messages failed" in gate().reason


def test_few_failures_hold_nothing(receiver: Receiver) -> None:
    """Each sixth: eight or nine of any fifty."""
    receiver.rule = refusing(*BLOCKED, every=6)
    owe(120)

    drain()

    assert left() == 0
    assert gate().closed_until.year == OPEN_YEAR


def test_failures_of_long_ago_do_not_count(receiver: Receiver) -> None:
    """Eleven at the beginning, one at the end: of the last fifty, one."""
    count = iter(range(1, 200))
    refuse = refusing(*BLOCKED)

    def rule(chat: int, text: str) -> Answer | None:
        return refuse(chat, text) if next(count) in {*range(1, 12), 90} else None

    receiver.rule = rule
    owe(100)

    drain()

    assert receiver.refused == PAUSE_FAILURES
    assert left() == 0
    assert gate().closed_until.year == OPEN_YEAR


def test_two_that_were_tried_often_before_they_failed_are_two(receiver: Receiver) -> None:
    """A proxy refused them for minutes; then it turned out that both had blocked the bot."""
    receiver.rule = refusing(*BLOCKED)
    owe(2)
    now = clock.now()
    for row in Delivery.objects.all():
        Attempt.objects.bulk_create(
            Attempt(delivery=row, fence=fence, started_at=now, finished_at=now, outcome="rejected")
            for fence in range(1, 8)
        )
    Delivery.objects.update(fence=7, attempts=7)

    drain()

    assert receiver.refused == 2
    assert gate().closed_until.year == OPEN_YEAR


def test_who_opens_it_again_begins_with_a_clean_slate(receiver: Receiver) -> None:
    receiver.rule = refusing(*BLOCKED)
    owe(40)
    drain()
    failed = receiver.refused
    receiver.rule = refusing(*BLOCKED, every=10)
    services.open_gate(key=gate().key, by="boss")

    drain()

    assert left() == 0
    assert failed >= PAUSE_FAILURES
    assert gate().closed_until.year == OPEN_YEAR


@pytest.mark.parametrize("known", [{"stream": ""}, {"stream": "welcome", "is_test": True}])
def test_what_belongs_to_no_sequence_or_is_a_test_holds_nothing(
    receiver: Receiver, known: dict[str, Any]
) -> None:
    receiver.rule = refusing(*PARSE)
    owe(20, **known)

    drain()

    assert left(known["stream"]) == 0
