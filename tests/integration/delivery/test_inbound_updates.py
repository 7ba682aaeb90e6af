"""What a learner does takes effect once, in order, and is never lost (S05, F13, P13)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test import override_settings

from config.sealed import SealedError
from delivery import clock, selectors, services
from delivery.inbound import (
    InboundButton,
    InboundMembership,
    InboundMessage,
    callback_data,
)
from delivery.models import Chat, Consent, Delivery, InboundUpdate, Lane, Reachability
from delivery.services import updates
from tests.integration.delivery import inbound_updates
from tests.integration.delivery.inbound_updates import CHAT, membership, message, press

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    inbound_updates.heard.clear()
    path = "tests.integration.delivery.inbound_updates.echo"
    with override_settings(DELIVERY_INBOUND_HANDLER=path):
        yield


def take(*payloads: dict[str, Any]) -> updates.Handled:
    """Store and handle."""
    updates.store_updates(payloads=payloads, now=NOW)
    return updates.handle_waiting(now=NOW)


@pytest.mark.django_db
def test_a_message_meets_the_chat_and_gets_its_reply_in_lane_0() -> None:
    done = take(message(1, "/Status@telbot_bot now"))
    assert (done.handled, done.failed, done.replies) == (1, 0, 1)
    (inbound,) = inbound_updates.heard
    assert inbound == InboundMessage(
        update_id=1, chat_id=7, user_id=7, first_name="Rosa <b>", language_code="es",
        text="/Status@telbot_bot now", command="status", argument="now",
    )  # fmt: skip
    reply = Delivery.objects.get()
    assert (reply.dedupe_key, reply.lane, reply.due_at) == ("reply:1:0", Lane.REPLY, NOW)
    assert reply.buttons == [[["Yes", "yes"]]]
    assert reply.chat.telegram_id == 7
    assert reply.chat.reachability == Reachability.OK
    assert not Consent.objects.exists()  # writing is not agreeing


@pytest.mark.django_db
def test_an_update_that_comes_ten_times_takes_effect_once() -> None:
    for _ in range(10):
        take(message(1, "hello"), message(2, "again"), message(1, "hello"))
    assert InboundUpdate.objects.count() == 2
    assert len(inbound_updates.heard) == 2
    assert Delivery.objects.count() == 2


@pytest.mark.django_db
def test_blocking_and_unblocking_change_reachability_and_nothing_else() -> None:
    chat = services.register_chat(telegram_id=7)
    take(membership(1, "kicked"))
    chat.refresh_from_db()
    assert chat.reachability == Reachability.BLOCKED
    assert services.has_consent(chat=chat, category="")
    take(membership(2, "member"))
    chat.refresh_from_db()
    assert (chat.reachability, chat.reachability_changed_at) == (Reachability.OK, NOW)
    assert [i.status for i in inbound_updates.heard if isinstance(i, InboundMembership)] == [
        "kicked",
        "member",
    ]


@pytest.mark.django_db
def test_start_makes_a_blocked_chat_reachable() -> None:
    services.register_chat(telegram_id=7, reachability=Reachability.NEVER_STARTED)
    take(message(1, "/start token"))
    assert Chat.objects.get().reachability == Reachability.OK


@pytest.mark.django_db
def test_a_stranger_who_blocks_is_not_met() -> None:
    take(membership(1, "kicked"))
    assert not Chat.objects.exists()


def unknown_delivery(telegram_id: int = 7) -> Delivery:
    """A delivery of which nobody knows whether it arrived."""
    chat = services.register_chat(telegram_id=telegram_id)
    delivery = services.enqueue(chat=chat, text="x", dedupe_key=f"k{telegram_id}", due_at=NOW)
    for status in ("leased", "sending", "unknown"):
        ended = status == "unknown"
        Delivery.objects.filter(pk=delivery.pk).update(
            status=status,
            lease_until=None if ended else NOW,
            intent_at=NOW,
            settled_at=NOW if ended else None,
            reason="no_answer" if ended else "",
        )
    return delivery


@pytest.mark.django_db
def test_a_press_proves_that_an_unknown_delivery_arrived() -> None:
    delivery = unknown_delivery()
    done = take(press(1, _data(delivery)))
    delivery.refresh_from_db()
    assert (delivery.status, delivery.reason) == ("sent", "")
    assert done.presses == [updates.Press(callback_id="1", chat_id=7, message_id=3)]
    (inbound,) = inbound_updates.heard
    assert isinstance(inbound, InboundButton)
    assert (inbound.delivery_id, inbound.action) == (delivery.pk, "dispute")


def _data(delivery: Delivery) -> str:
    return callback_data(delivery_id=delivery.pk, action="dispute")


@pytest.mark.django_db
def test_a_press_with_somebody_elses_delivery_proves_nothing() -> None:
    delivery = unknown_delivery(telegram_id=8)
    done = take(press(1, _data(delivery), person=7))
    delivery.refresh_from_db()
    assert delivery.status == "unknown"
    (inbound,) = inbound_updates.heard
    assert isinstance(inbound, InboundButton)
    assert inbound.delivery_id is None
    assert done.presses[0].message_id is None


@pytest.mark.django_db
@pytest.mark.parametrize("data", ["", "v1:", "v1:zz:", "x" * 64, "v1:1:a"])
def test_any_data_may_come_from_a_hostile_client(data: str) -> None:
    done = take(press(1, data))
    assert (done.handled, done.failed) == (1, 0)
    assert not Delivery.objects.exclude(lane=Lane.REPLY).exists()


@pytest.mark.django_db
def test_an_error_is_tried_three_times_and_holds_back_its_own_chat_only() -> None:
    other = CHAT | {"id": 8}
    updates.store_updates(
        payloads=[message(1, "fail"), message(2, "later"), message(3, "hello", chat=other)], now=NOW
    )
    passes = [updates.handle_waiting(now=NOW) for _ in range(4)]
    assert [(p.handled, p.failed) for p in passes] == [(1, 1), (0, 1), (1, 1), (0, 0)]
    said = [i.text for i in inbound_updates.heard if isinstance(i, InboundMessage)]
    assert said == ["hello", "later"]
    failed = InboundUpdate.objects.get(update_id=1)
    assert (failed.tries, failed.handled_at) == (3, NOW)
    assert failed.error == "RuntimeError; try 3 of 3"
    assert not Delivery.objects.filter(dedupe_key="reply:1:0").exists()


@pytest.mark.django_db
def test_what_could_not_be_handled_is_told_for_a_day() -> None:
    """The alert `poison`: somebody's /stop may be among it."""
    now = clock.now()
    updates.store_updates(payloads=[message(1, "fail"), message(2, "fail")], now=now)
    for _ in range(updates.MAX_TRIES):
        assert selectors.standing().poison == 0
        updates.handle_waiting(now=now)

    assert selectors.standing().poison == 1
    InboundUpdate.objects.update(handled_at=now - timedelta(hours=25))
    assert selectors.standing().poison == 0


@pytest.mark.django_db
def test_a_missing_key_is_no_fault_of_the_update_but_damage_is(settings: Any) -> None:
    """P31: what waits for a key waits; what no key opens is given up, and holds up nobody else."""
    settings.FIELD_ENCRYPTION_KEY = ("A" * 43 + "=",)
    other = CHAT | {"id": 8}
    updates.store_updates(payloads=[message(1, "a"), message(2, "b", chat=other)], now=NOW)
    settings.FIELD_ENCRYPTION_KEY = ("B" * 43 + "=",)
    with pytest.raises(SealedError):
        updates.handle_waiting(now=NOW)
    settings.FIELD_ENCRYPTION_KEY = ("A" * 43 + "=",)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE delivery_inboundupdate SET payload = left(payload, 40) WHERE update_id = 1"
        )

    passes = [updates.handle_waiting(now=NOW) for _ in range(4)]

    assert [(p.handled, p.failed) for p in passes] == [(1, 1), (0, 1), (0, 1), (0, 0)]
    assert [i.text for i in inbound_updates.heard if isinstance(i, InboundMessage)] == ["b"]


@pytest.mark.django_db
@pytest.mark.parametrize("album", [None, "1"])
def test_a_voice_is_heard_and_an_album_once(album: str | None) -> None:
    """Nobody who speaks is left without an answer, nor gets one for each picture of an album."""
    said = message(1, "")["message"] | {
        "voice": {"file_id": "1", "file_unique_id": "1", "duration": 3}, "media_group_id": album,
    }  # fmt: skip
    assert take({"update_id": 1, "message": said}).replies == (0 if album else 1)
    assert [i.text for i in inbound_updates.heard if isinstance(i, InboundMessage)] == (
        [] if album else [""]
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload",
    [
        {"update_id": 1},
        {"update_id": 1, "poll": {"id": "1"}},
        {"update_id": 1, "edited_message": message(1, "x")["message"]},
        message(1, "in a group", chat={"id": -5, "type": "group", "title": "g"}),
        {"update_id": 1, "message": message(1, "x")["message"] | {"text": None}},
    ],
)
def test_what_telbot_has_no_use_for_is_marked_and_forgotten(payload: dict[str, Any]) -> None:
    done = take(payload)
    assert (done.handled, done.failed) == (1, 0)
    assert not Chat.objects.exists()
    assert inbound_updates.heard == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "payload",
    [
        {"update_id": 1, "message": "a string"},
        {"update_id": 1, "callback_query": {"id": "1"}},
        {"update_id": 1, "message": {"chat": {"id": "7"}}},
        {"update_id": 1, "my_chat_member": []},
    ],
)
def test_what_is_not_of_telegrams_making_is_kept_with_its_error(payload: dict[str, Any]) -> None:
    take(payload)
    kept = InboundUpdate.objects.get()
    assert kept.handled_at == NOW
    assert payload["update_id"] == 1
    assert inbound_updates.heard == []


@pytest.mark.django_db
@pytest.mark.parametrize("update_id", [None, "1", -1, 2**63, True, 1.5])
def test_without_an_id_nothing_is_stored(update_id: object) -> None:
    with pytest.raises(updates.MalformedUpdateError):
        updates.store_updates(payloads=[{"update_id": update_id}], now=NOW)
    assert not InboundUpdate.objects.exists()


@pytest.mark.django_db
def test_texts_the_database_cannot_hold_are_cleaned() -> None:
    take(message(1, "a\0b\ud800c"))
    (inbound,) = inbound_updates.heard
    assert isinstance(inbound, InboundMessage)
    assert inbound.text == "ab?c"


@pytest.mark.django_db(transaction=True)
def test_many_processes_handle_each_update_once_and_in_order() -> None:
    payloads = [
        message(number, str(number), chat=CHAT | {"id": 100 + number % 5})
        for number in range(1, 61)
    ]
    updates.store_updates(payloads=payloads, now=NOW)

    def work() -> None:
        try:
            for _ in range(40):
                if not updates.handle_waiting(now=NOW, limit=7).handled and not _left():
                    return
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    updates.handle_waiting(now=NOW)
    assert Delivery.objects.count() == 60
    by_chat: dict[int, list[int]] = {}
    for inbound in inbound_updates.heard:
        by_chat.setdefault(inbound.chat_id, []).append(inbound.update_id)
    assert sum(map(len, by_chat.values())) == 60
    assert all(ids == sorted(ids) for ids in by_chat.values())


def _left() -> bool:
    return InboundUpdate.objects.filter(handled_at__isnull=True).exists()


@pytest.mark.django_db(transaction=True)
def test_a_chat_that_another_process_works_on_is_left_alone() -> None:
    updates.store_updates(payloads=[message(1, "hello")], now=NOW)
    chat_key = InboundUpdate.objects.get().chat_key
    ready, finish = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                assert updates._lock_chat(chat_key)
                ready.set()
                finish.wait(10)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    ready.wait(10)
    assert updates.handle_waiting(now=NOW).handled == 0
    finish.set()
    holder.join()
    assert updates.handle_waiting(now=NOW + timedelta(seconds=1)).handled == 1


@pytest.mark.django_db
def test_who_sends_too_much_is_heard_but_not_answered() -> None:
    """S05: what they do takes effect; the bot's rate stays with the others."""
    most = updates.ANSWERED_A_MINUTE
    assert take(*(message(n, "/status") for n in range(1, most + 1))).replies == most

    assert take(message(most + 1, "/stop")).replies == 0
    assert len(inbound_updates.heard) == most + 1
    assert take(message(most + 2, "/status", chat=CHAT | {"id": 8})).replies == 1

    later = NOW + timedelta(minutes=2)
    updates.store_updates(payloads=[message(most + 3, "/status")], now=later)
    assert updates.handle_waiting(now=later).replies == 1
