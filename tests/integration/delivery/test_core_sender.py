"""The sender against a receiver that counts by itself, over real HTTP."""

from __future__ import annotations

import socket
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.sealed import SealedError
from delivery import clock, consequences, selectors, sender, services
from delivery.domain.reasons import Reason
from delivery.ledger import Ledger
from delivery.models import Attempt, Chat, Delivery, Gate
from delivery.rows import Held
from delivery.services.gates import ensure_pacing
from delivery.telegram import gateway
from tests.factories.delivery import LONG_AGO, make_chat, make_delivery
from tests.integration.delivery.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)


def drain(**options: Any) -> dict[str, int]:
    """Work off what is due."""
    ensure_pacing()
    return dict(sender.drain(gateway, until_empty=True, **options))


def refusing(code: int, text: str, **parameters: Any) -> Any:
    """A rule that refuses everything."""
    body = {"ok": False, "error_code": code, "description": text, "parameters": parameters}
    return lambda _chat, _text: (code, body)


def test_everything_due_goes_out_once_and_is_on_record(receiver: Receiver) -> None:
    for _ in range(30):
        make_delivery()

    assert drain() == {"sent": 30}

    assert receiver.total == len(receiver.arrived) == 30
    assert Attempt.objects.filter(outcome="sent", message_id__gt=0).count() == 30
    assert not Delivery.objects.exclude(status="sent", settled_at__isnull=False).exists()
    assert drain() == {}
    assert receiver.total == 30


def test_a_chat_whose_id_is_damaged_holds_up_nobody_else(receiver: Receiver, settings: Any) -> None:
    """P31: its lease runs out, until staff find it given up."""
    settings.FIELD_ENCRYPTION_KEY = ("A" * 43 + "=",)
    bad, good = make_delivery(), make_delivery()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_chat SET telegram_id = left(telegram_id, 30) WHERE id = %s",
            [bad.chat_id],
        )

    assert drain()["sent"] == 1
    assert list(receiver.arrived) == [good.chat.telegram_id]
    status = Delivery.objects.values_list("status", "attempts")
    assert status.get(pk=bad.pk) == ("leased", 0)


def test_where_the_key_is_missing_nothing_is_leased(receiver: Receiver, settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEY = ("A" * 43 + "=",)
    make_delivery()
    settings.FIELD_ENCRYPTION_KEY = ("B" * 43 + "=",)

    with pytest.raises(SealedError, match="not in FIELD_ENCRYPTION_KEY"):
        drain()
    assert dict(selectors.count_by_status()) == {"pending": 1}


def test_a_group_that_moved_is_known_by_its_new_id(receiver: Receiver) -> None:
    refuse = refusing(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-1001)
    receiver.rule = lambda chat, text: refuse(chat, text) if chat == -5 else None
    chat = make_chat(telegram_id=-5)
    make_delivery(chat=chat)

    drain()

    assert Chat.objects.get(telegram_id=-1001) == chat
    assert not Chat.objects.filter(telegram_id=-5).exists()


def test_what_is_not_due_stays(receiver: Receiver) -> None:
    make_delivery(due_at=clock.now() + timedelta(hours=1))

    assert drain() == {}
    assert receiver.total == 0


def test_two_messages_of_one_chat_go_in_order_a_second_apart(receiver: Receiver) -> None:
    chat = make_chat()
    for number in range(2):
        make_delivery(chat=chat, text=f"n{number}", due_at=LONG_AGO + timedelta(seconds=number))

    assert drain() == {"sent": 2}

    assert [text for _, text in receiver.texts] == ["n0", "n1"]
    assert receiver.times[1] - receiver.times[0] >= 1


@pytest.mark.parametrize(
    ("code", "text", "reachability", "reason"),
    [
        (403, "Forbidden: bot was blocked by the user", "blocked", Reason.CHAT_BLOCKED),
        (403, "Forbidden: user is deactivated", "deactivated", Reason.CHAT_DEACTIVATED),
        (400, "Bad Request: chat not found", "gone", Reason.CHAT_GONE),
    ],
)
def test_a_chat_that_is_lost_is_tried_once(
    receiver: Receiver, code: int, text: str, reachability: str, reason: Reason
) -> None:
    """P13."""
    receiver.rule = refusing(code, text)
    chat = make_chat()
    first, second = make_delivery(chat=chat), make_delivery(chat=chat)

    drain()

    assert receiver.refused == 1
    assert Chat.objects.get(pk=chat.pk).reachability == reachability
    ends = Delivery.objects.in_bulk([first.pk, second.pk])
    assert (ends[first.pk].status, ends[second.pk].status) == ("failed", "cancelled")
    assert {row.reason for row in ends.values()} == {reason}


def test_a_429_holds_everybody_and_costs_no_try(receiver: Receiver) -> None:
    """P16."""
    answered = iter([refusing(429, "Too Many Requests", retry_after=1)(0, "")])
    receiver.rule = lambda _chat, _text: next(answered, None)
    for _ in range(5):
        make_delivery()

    assert drain() == {"sent": 5}

    assert receiver.refused == 1
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
    assert Gate.objects.get(key="bot").rate == pytest.approx(400)
    assert receiver.times[-1] - receiver.times[0] < 5


def test_a_wrong_token_stops_the_bot_and_loses_nothing(receiver: Receiver) -> None:
    receiver.rule = refusing(401, "Unauthorized")
    for _ in range(20):
        make_delivery()

    drain()

    assert receiver.refused <= sender.IN_FLIGHT
    assert set(Delivery.objects.values_list("status", flat=True)) == {"pending"}
    assert Gate.objects.get(key="bot:token").closed_until.year > 2900


def test_a_retry_is_counted_and_not_awaited(receiver: Receiver, settings: Any) -> None:
    """S06: `--until-empty` ends when nothing can be claimed now."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings.TELEGRAM_API_URL = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        delivery = make_delivery()

        assert drain() == {}

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("pending", 1)


def test_an_outage_opens_the_breaker_and_a_probe_closes_it(receiver: Receiver) -> None:
    """S17: unknowns are bounded, nobody's message is the probe."""
    receiver.rule = refusing(502, "Bad Gateway")
    for _ in range(40):
        make_delivery()
    counts = drain()
    assert counts["unknown"] <= consequences.BREAKER_FAILURES + sender.IN_FLIGHT
    receiver.rule = lambda _chat, _text: None
    with connection.cursor() as cursor:
        cursor.execute("UPDATE delivery_gate SET updated_at = now() - interval '1 minute'")

    again = drain()

    assert receiver.probes >= 1
    assert again["sent"] == receiver.total == 40 - counts["unknown"]


def test_outside_production_only_listed_chats_are_called(receiver: Receiver, settings: Any) -> None:
    """S06."""
    listed, *others = [make_chat() for _ in range(20)]
    settings.STAGING_ALLOWED_CHATS = frozenset({listed.telegram_id})
    for chat in (listed, *others):
        make_delivery(chat=chat)

    assert drain() == {"sent": 20}

    assert dict(receiver.arrived) == {listed.telegram_id: 1}
    assert Delivery.objects.filter(diverted=True).count() == 19


def withdraw_consent(delivery: Delivery, now: datetime) -> None:
    services.set_consent(chat=delivery.chat, category="", granted=False, source="stop", now=now)


def block(delivery: Delivery, now: datetime) -> None:
    services.set_reachability(chat=delivery.chat, reachability="blocked", now=now)


def snooze(delivery: Delivery, now: datetime) -> None:
    services.snooze(chat=delivery.chat, until=now + timedelta(days=1))


def close_stream(delivery: Delivery, now: datetime) -> None:
    services.close_gate(key=delivery.stream_id, reason="paused", by="staff")


def close_bot(delivery: Delivery, now: datetime) -> None:
    services.close_gate(key="bot:switch", reason="stop", by="staff")


@pytest.mark.parametrize(
    ("happens", "status", "reason"),
    [
        (withdraw_consent, "cancelled", "opted_out"),
        (block, "skipped", "chat_blocked"),
        (snooze, "pending", ""),
        (close_stream, "pending", ""),
        (close_bot, "pending", ""),
    ],
)
def test_the_last_look_before_sending(
    receiver: Receiver, happens: Any, status: str, reason: str
) -> None:
    """P12, promise 4."""
    delivery = make_delivery()
    happens(delivery, clock.now())

    drain()

    delivery.refresh_from_db()
    assert receiver.total == 0
    assert (delivery.status, delivery.reason) == (status, reason)


def test_outside_its_window_it_waits_for_the_next_opening(receiver: Receiver) -> None:
    now = clock.now()
    yesterday = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[(now.weekday() - 2) % 7]
    delivery = make_delivery(window=("09:00", "10:00", [yesterday], "UTC"))

    drain()

    delivery.refresh_from_db()
    assert receiver.total == 0
    assert (delivery.status, delivery.due_at) == ("pending", LONG_AGO)
    assert delivery.run_at > now + timedelta(days=2)
    assert delivery.run_at.hour == 9


def test_what_is_useless_by_now_expires(receiver: Receiver) -> None:
    """P10."""
    delivery = make_delivery(expires_at=LONG_AGO + timedelta(hours=1))

    assert drain() == {"expired": 1}

    delivery.refresh_from_db()
    assert receiver.total == 0
    assert (delivery.status, delivery.reason) == ("expired", "expired")


def test_a_daily_cap_is_kept_and_recorded(receiver: Receiver) -> None:
    """P11."""
    chat = make_chat()
    first, second = (make_delivery(chat=chat, cap_per_day=1) for _ in range(2))

    drain()

    second.refresh_from_db()
    first.refresh_from_db()
    assert receiver.total == 1
    assert (first.status, second.status, second.reason) == ("sent", "skipped", "capped")


def test_a_test_counts_in_no_cap_and_none_holds_it(receiver: Receiver) -> None:
    """P22."""
    chat = make_chat()
    tried, counted, again = (
        make_delivery(chat=chat, cap_per_day=1, is_test=is_test) for is_test in (True, False, True)
    )

    drain()

    for row in (tried, counted, again):
        row.refresh_from_db()
        assert row.status == "sent"


def test_a_reply_goes_out_though_its_chat_agreed_to_nothing(receiver: Receiver) -> None:
    now = clock.now()
    chat = services.meet_chat(telegram_id=5, now=now)
    make_delivery(chat=chat, lane=0)

    assert drain() == {"sent": 1}


def test_a_receiver_of_thirty_a_second_never_refuses(receiver: Receiver, settings: Any) -> None:
    """P16: pacing in the claim."""
    settings.TELEGRAM_SENDS_PER_SECOND = 25.0
    receiver.limit_per_second = 30
    for _ in range(100):
        make_delivery()

    assert drain() == {"sent": 100}

    assert receiver.refused == 0
    assert receiver.times[-1] - receiver.times[0] > 3.5


def test_what_was_held_overnight_leaves_at_the_configured_rate(
    receiver: Receiver, settings: Any
) -> None:
    """P09: 2,000 messages become due at 08:00 sharp; nobody's second one overtakes the first."""
    settings.TELEGRAM_SENDS_PER_SECOND = 300.0
    receiver.limit_per_second = 360
    opens = LONG_AGO.replace(hour=8)
    everyday = ("08:00", "20:00", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "UTC")
    chats = services.register_chats(telegram_ids=range(1, 1_001), source="test", now=LONG_AGO)
    services.ensure_stream("")
    services.enqueue_many(
        drafts=[
            services.draft(
                chat=chat, text=word, due_at=opens, window=everyday, dedupe_key=f"{word}:{chat.pk}"
            )
            for word in ("first", "second")
            for chat in chats.values()
        ]
    )

    assert drain(simulated=opens - timedelta(minutes=1)) == {}
    assert drain(simulated=opens) == {"sent": 2_000}

    assert receiver.refused == 0
    assert set(receiver.arrived.values()) == {2}
    assert receiver.times[-1] - receiver.times[0] > 6
    heard: dict[int, list[str]] = defaultdict(list)
    for chat_id, text in receiver.texts:
        heard[chat_id].append(text)
    assert all(texts == ["first", "second"] for texts in heard.values())


def test_an_intent_whose_commit_was_not_heard_goes_back_unwritten(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P15: nobody wrote to Telegram for it, so it is no unknown and no try."""
    for _ in range(3):
        make_delivery()
    commit = Ledger.commit
    lost: list[Held] = []

    async def losing(self: Ledger, **what: Any) -> Any:
        done = await commit(self, **what)
        if what["intents"] and not lost:
            lost.extend(what["intents"])
            (row,) = await self._all(
                "SELECT DISTINCT status FROM nurture_deliveries WHERE id = ANY(%(ids)s)",
                {"ids": [held.id for held in lost]},
            )
            assert row["status"] == "sending"  # it was committed
            assert not {held.text for held in lost} & {text for _, text in receiver.texts}
            for db in self._open:
                await db.close()
            raise psycopg.OperationalError("the connection is gone")
        return done

    monkeypatch.setattr(Ledger, "commit", losing)

    assert drain() == {"sent": 3}

    assert lost
    assert receiver.total == len(receiver.arrived) == 3
    assert set(Delivery.objects.values_list("attempts", "deaths")) == {(1, 0)}
