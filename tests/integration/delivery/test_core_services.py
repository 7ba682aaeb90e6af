"""Owing, withdrawing, moving; and what the database itself refuses."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from delivery import clock, queries, services
from delivery.domain.states import TRANSITIONS, Status, may_become
from delivery.domain.windows import EVERY_DAY, Window, is_open
from delivery.models import Attempt, Consent, Delivery, Gate
from delivery.services import installation
from tests.factories.delivery import LONG_AGO, make_chat, make_delivery

pytestmark = pytest.mark.django_db


def test_a_known_key_owes_nothing_more() -> None:
    """P14."""
    chat = make_chat()
    first = make_delivery(chat=chat, dedupe_key="k", text="one")
    second = make_delivery(chat=chat, dedupe_key="k", text="two")

    assert (second.pk, second.text) == (first.pk, "one")
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"due_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - naive on purpose
        {"window": ("09:00", "10:00", [], "UTC")},
        {"window": ("09:00", "10:00", None, "localtime")},  # Python has it, the database has not
    ],
)
def test_a_bad_delivery_is_refused_whole(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|localtime"):
        make_delivery(**wrong)
    assert not Delivery.objects.exists()


def test_hours_in_a_zone_that_the_database_does_not_know_are_refused() -> None:
    """One such row would fail the last look of all that goes out with it."""
    row = make_delivery()
    closed = Window(opens=time(9), closes=time(10), days=EVERY_DAY, zone="localtime")

    with pytest.raises(ValueError, match="localtime"):
        services.set_hours(dedupe_key=row.dedupe_key, window=closed)

    row.refresh_from_db()
    assert row.window_zone == ""


def test_cancel_breaks_a_lease_and_leaves_what_is_on_the_wire() -> None:
    waiting, leased, sending = (make_delivery() for _ in range(3))
    put(leased, "leased")
    put(sending, "leased")
    put(sending, "sending")
    keys = [row.dedupe_key for row in (waiting, leased, sending)]

    assert services.cancel(dedupe_keys=keys, reason="withdrawn") == 2
    assert services.cancel(dedupe_keys=keys, reason="withdrawn") == 0

    for row in (waiting, leased, sending):
        row.refresh_from_db()
    assert [row.status for row in (waiting, leased, sending)] == [
        "cancelled",
        "cancelled",
        "sending",
    ]
    assert (leased.fence, sending.withdrawal) == (2, "withdrawn")


def test_retime_moves_what_was_not_sent() -> None:
    delivery = make_delivery()
    put(delivery, "leased")
    later = LONG_AGO + timedelta(days=2)

    assert services.retime(dedupe_key=delivery.dedupe_key, due_at=later)

    delivery.refresh_from_db()
    assert (delivery.status, delivery.due_at, delivery.run_at) == ("pending", later, later)
    put(delivery, "leased")
    put(delivery, "sending")
    assert not services.retime(dedupe_key=delivery.dedupe_key, due_at=LONG_AGO)


def test_registering_again_never_undoes_a_stop() -> None:
    chat = make_chat()
    services.set_consent(chat=chat, category="", granted=False, source="stop", now=LONG_AGO)

    services.register_chat(telegram_id=chat.telegram_id)

    assert not services.has_consent(chat=chat, category="attendance")


def test_the_default_category_answers_for_the_others() -> None:
    chat = make_chat()
    services.set_consent(chat=chat, category="news", granted=False, source="staff", now=LONG_AGO)

    assert services.has_consent(chat=chat, category="attendance")
    assert not services.has_consent(chat=chat, category="news")
    assert Consent.objects.filter(chat=chat).count() == 2


def test_withdrawing_one_category_leaves_the_others_owed() -> None:
    chat = make_chat()
    news, classes = (make_delivery(chat=chat, category=name) for name in ("news", "classes"))

    services.set_consent(chat=chat, category="news", granted=False, source="staff", now=LONG_AGO)

    news.refresh_from_db()
    classes.refresh_from_db()
    assert (news.status, news.reason, classes.status) == ("cancelled", "opted_out", "pending")


def put(delivery: Delivery, status: str) -> None:
    """Bring a delivery into a state along the legal way."""
    delivery.refresh_from_db()
    now = clock.now()
    changes: dict[str, Any] = {"status": status}
    if status in {"leased", "sending"}:
        changes |= {"lease_until": now + timedelta(minutes=1), "intent_at": now}
        changes |= {"fence": delivery.fence + (status == "leased")}
    else:
        changes |= {"lease_until": None}
    if status in {"sent", "failed", "expired", "cancelled", "skipped", "dead"}:
        changes |= {"settled_at": now, "sent_at": now, "reason": "" if status == "sent" else "x"}
    if status == "unknown":
        changes |= {"reason": "no_answer", "settled_at": None}
    if status == "pending":
        changes |= {"settled_at": None, "reason": ""}
    Delivery.objects.filter(pk=delivery.pk).update(**changes)


WAYS = {
    Status.PENDING: [],
    Status.LEASED: ["leased"],
    Status.SENDING: ["leased", "sending"],
    Status.SENT: ["leased", "sending", "sent"],
    Status.UNKNOWN: ["leased", "sending", "unknown"],
    Status.FAILED: ["leased", "sending", "failed"],
    Status.EXPIRED: ["expired"],
    Status.CANCELLED: ["cancelled"],
    Status.SKIPPED: ["skipped"],
    Status.DEAD: ["dead"],
}


@pytest.mark.parametrize("before", list(Status))
def test_the_database_allows_exactly_the_legal_changes(before: Status) -> None:
    """The trigger and domain/states.py say the same of every pair."""
    for after in Status:
        delivery = make_delivery()
        for step in WAYS[before]:
            put(delivery, step)
        try:
            with transaction.atomic():
                put(delivery, after)
            allowed = True
        except IntegrityError:
            allowed = False
        assert allowed == may_become(before, after), (before, after)
    assert len(TRANSITIONS) == 25


def test_a_fence_never_falls() -> None:
    delivery = make_delivery()
    put(delivery, "leased")

    with pytest.raises(IntegrityError, match="may not fall"):
        Delivery.objects.filter(pk=delivery.pk).update(fence=0)


def test_a_closed_attempt_is_history() -> None:
    delivery = make_delivery()
    attempt = Attempt.objects.create(
        delivery=delivery, fence=1, started_at=LONG_AGO, finished_at=LONG_AGO, outcome="sent"
    )

    with pytest.raises(IntegrityError, match="does not change"):
        Attempt.objects.filter(pk=attempt.pk).update(outcome="rejected")


def test_the_window_of_the_database_is_that_of_the_domain() -> None:
    """Both are asked at the last moment; they must agree, over midnight and clock changes too."""
    from datetime import time

    hours = [
        Window(opens=time(9), closes=time(20), days=0b0011111, zone="Europe/Berlin"),
        Window(opens=time(22), closes=time(6), days=0b0010001, zone="America/New_York"),
        Window(opens=time(0), closes=time(0), days=EVERY_DAY, zone="Asia/Kolkata"),
    ]
    for window in hours:
        for hour in range(0, 24 * 366, 7):
            at = datetime(2026, 1, 1, 0, 30, tzinfo=UTC) + timedelta(hours=hour)
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT telbot_window_open(%s, %s::time, %s::time, %s, %s)",
                    [at, str(window.opens), str(window.closes), window.days, window.zone],
                )
                assert cursor.fetchone()[0] == is_open(window, at=at), (window, at)


def test_a_simulated_moment_ends_with_its_block() -> None:
    with clock.simulated(LONG_AGO):
        assert clock.now() == LONG_AGO
    assert clock.now() > LONG_AGO


def test_only_a_laptop_simulates(settings: Any) -> None:
    settings.ENVIRONMENT = "production"

    with pytest.raises(clock.SimulationError), clock.simulated(LONG_AGO):
        raise AssertionError("never reached")


def test_a_new_database_arms_itself_and_a_copy_of_another_sends_nothing(settings: Any) -> None:
    """Promise 7."""
    assert installation.arm(now=LONG_AGO) == ""
    assert installation.arm(now=LONG_AGO) == ""

    settings.ENVIRONMENT = "staging"

    assert "armed for local" in installation.arm(now=LONG_AGO)
    assert Gate.objects.get(key="bot:fence").closed_until.year > 2900
    in_flight = make_delivery()
    put(in_flight, "leased")
    assert installation.rearm(now=LONG_AGO).in_flight == 1
    in_flight.refresh_from_db()
    assert (in_flight.status, in_flight.lease_until) == ("unknown", None)
    assert installation.arm(now=LONG_AGO) == ""
    assert Gate.objects.get(key="bot:fence").closed_until.year == 2000


def test_a_copy_on_the_same_server_is_one_however_its_name_begins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Promise 7: of a long name the beginning does not tell two databases apart."""
    original = "7412345678901234567/telbot_production"
    monkeypatch.setattr(installation, "_whole_name", lambda: original)
    assert installation.arm(now=LONG_AGO) == ""
    assert installation.arm(now=LONG_AGO) == ""

    monkeypatch.setattr(installation, "_whole_name", lambda: f"{original}_copy")

    assert "under another name" in installation.arm(now=LONG_AGO)


def test_what_is_only_pretended_is_in_no_doubt_after_a_restore() -> None:
    """Nobody can have got it, so nobody is to ask whether it arrived."""
    pretended, real = make_delivery(stream="dry:welcome"), make_delivery(stream="welcome")

    assert installation.rearm(now=LONG_AGO, until=LONG_AGO + timedelta(days=1)).due == 1

    states = Delivery.objects.in_bulk([pretended.pk, real.pk])
    assert (states[pretended.pk].status, states[real.pk].status) == ("pending", "unknown")


@pytest.mark.parametrize(("ended", "armed"), [("cancelled", True), ("sent", False)])
def test_only_what_was_sent_makes_a_database_a_copy(ended: Status, armed: bool) -> None:
    """The first that is planned may be withdrawn before anything is sent."""
    row = make_delivery()
    for status in WAYS[ended]:
        put(row, status)

    assert (installation.arm(now=LONG_AGO) == "") == armed


def test_the_claim_reads_by_its_index() -> None:
    """A million pending rows must not be scanned or sorted to find seventy due ones."""
    chat = make_chat()
    services.ensure_stream("")
    rows = [
        Delivery(
            chat=chat, stream_id="stream:", dedupe_key=f"r{n}", text="x",
            due_at=LONG_AGO + timedelta(days=3650, seconds=n),
            run_at=LONG_AGO + timedelta(days=3650, seconds=n),
        )
        for n in range(3000)
    ]  # fmt: skip
    Delivery.objects.bulk_create(rows)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE nurture_deliveries; ANALYZE delivery_gate")
        since: dict[str, Any] = {"due_at": LONG_AGO, "run_at": LONG_AGO, "id": 0}
        cursor.execute("EXPLAIN " + queries.READ_BULK, since)
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "delivery_due_bulk" in plan
    assert "Seq Scan on nurture_deliveries" not in plan
