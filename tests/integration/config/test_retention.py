"""What is old goes by its policy, and nothing that somebody still needs goes with it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from attendance.models import (
    Activity,
    AttendanceEvent,
    ClassSession,
    Conference,
    Endpoint,
    Learner,
    Outcome,
    SyncRun,
)
from config import retention
from delivery import selectors as delivery_selectors
from delivery import services as delivery
from delivery.domain.archive import Month
from delivery.models import ArchivedDelivery, Attempt, Delivery, InboundUpdate
from nurture import flags, services
from nurture.models import Decision, Journey
from nurture.services import privacy, stored
from nurture.services.archive import archive_some
from nurture.services.explain import explain
from nurture.services.insight.funnel import count_runs, runs_at
from nurture.services.learner_page import learner_page
from tests.factories import nurture as make
from tests.factories.delivery import make_chat, make_delivery
from tests.factories.everything import make_everything

#: What only an erasure touches.
OWN_RECORDS = (Learner, ClassSession, Conference, Endpoint, Outcome, AttendanceEvent, Journey)
LATER = make.NOW + timedelta(days=120)
OLD = LATER - timedelta(days=90)


@pytest.fixture(autouse=True)
def _no_months(request: pytest.FixtureRequest) -> None:
    """Months that another test left in the database are no part of these."""
    if marker := request.node.get_closest_marker("django_db"):
        request.getfixturevalue("transactional_db" if marker.kwargs else "db")
        delivery.drop_months(before=LATER + timedelta(days=9_000))


def told(*, ended: bool = True) -> Delivery:
    """A journey whose one message went out in March; it is over unless it is not."""
    flags.set_nurture(percent=100)
    make.make_sequence()
    make.make_fact()
    services.tick(now=make.NOW)
    row = Delivery.objects.get()
    make.settle(row, at=make.NOW)
    Attempt.objects.create(
        delivery=row, fence=1, started_at=make.NOW, finished_at=make.NOW, outcome="sent",
        description="OK", message_id=1,
    )  # fmt: skip
    if ended:
        services.tick(now=make.NOW + timedelta(minutes=1))
    else:
        Delivery.objects.update(observed_at=make.NOW)
    return Delivery.objects.get()


@pytest.mark.django_db
def test_what_is_over_moves_to_the_archive_as_it_was() -> None:
    before = told()
    page = stored.stored_about(learner=Journey.objects.get().learner)

    assert [archive_some(before=OLD), archive_some(before=OLD)] == [1, 0]

    assert not Delivery.objects.exists()
    assert not Attempt.objects.exists()
    row = ArchivedDelivery.objects.get()
    assert [(t["outcome"], t["description"]) for t in row.tries] == [("sent", "OK")]
    after = delivery_selectors.delivery(before.pk)
    for field in Delivery._meta.concrete_fields:  # those that come later, too
        assert getattr(after, field.attname) == getattr(before, field.attname), field.name
    assert stored.stored_about(learner=Journey.objects.get().learner) == page
    assert [str(month) for month in delivery.months()] == ["2026-03"]


@pytest.mark.django_db
def test_a_migration_back_puts_all_of_it_back() -> None:
    told()
    before = list(Delivery.objects.values()), list(Attempt.objects.values())
    archive_some(before=OLD)
    with connection.cursor() as cursor:
        cursor.execute(import_module("delivery.migrations.0013_archive").BACK)

    assert (list(Delivery.objects.values()), list(Attempt.objects.values())) == before
    assert not ArchivedDelivery.objects.exists()


@pytest.mark.django_db
def test_figures_and_pages_stay_true(client: Client) -> None:
    row = told()
    journey = Journey.objects.get()
    asked: dict[str, Any] = {"version_id": journey.version_id, "since": make.CLASS_STARTS}
    funnel = count_runs(**asked)
    runs = runs_at(**asked, step="hello", state="sent")
    assert runs.total == 1

    archive_some(before=OLD)

    assert count_runs(**asked) == funnel
    assert runs_at(**asked, step="hello", state="sent") == runs
    assert Decision.objects.filter(delivery_id=row.pk).exists()
    assert learner_page(learner_id=journey.learner_id).has_archive
    found = explain(
        email=journey.learner.email, slug="missed-class", now=make.NOW + timedelta(hours=1)
    )
    seen = {rule["rule"]: rule["input"] for rule in found.rules}
    assert seen["delivery"]["status"] == "sent"
    client.force_login(User.objects.create_superuser("ann"))
    old, new = (
        reverse(f"admin:delivery_{model}_change", args=[row.pk])
        for model in ("delivery", "archiveddelivery")
    )
    assert client.get(old)["Location"] == new
    mistyped = reverse("admin:delivery_delivery_change", args=["17x"])
    assert client.get(mistyped)["Location"] == reverse("admin:index")
    assert row.text in client.get(new).content.decode()


@pytest.mark.django_db
def test_what_somebody_needs_stays() -> None:
    """Owed, not taken note of, of a journey under way, too young: all of it stays where it is."""
    told(ended=False)
    make_delivery()
    unseen, young = make_delivery(), make_delivery()
    make.settle(unseen, at=make.NOW)
    make.settle(young, at=OLD)
    Delivery.objects.filter(pk=young.pk).update(observed_at=OLD)

    assert archive_some(before=OLD) == 0

    Journey.objects.update(status="exited", exit_reason="x", ended_at=OLD, slot=None,
                           next_action_at=None, waiting_on=None)  # fmt: skip
    assert archive_some(before=OLD) == 1


@pytest.mark.django_db
def test_what_is_in_the_archive_is_never_owed_again() -> None:
    row = told()
    archive_some(before=OLD)

    again = delivery.enqueue(
        chat=row.chat, text="Hello again", dedupe_key=row.dedupe_key, due_at=LATER
    )
    fresh = delivery.draft(chat=row.chat, text="New", dedupe_key="new", due_at=LATER)
    known = delivery.draft(chat=row.chat, text="x", dedupe_key=row.dedupe_key, due_at=LATER)
    delivery.enqueue_many(drafts=[known, fresh])

    assert (again.pk, again.status, again.text) == (row.pk, "sent", row.text)
    assert known.pk == row.pk
    assert list(Delivery.objects.values_list("dedupe_key", flat=True)) == ["new"]


@pytest.mark.django_db(transaction=True)
def test_a_key_that_moves_just_now_is_not_owed_twice() -> None:
    """Whoever owes it waits for the move, then finds it."""
    chat = make_chat()
    row = make_delivery(chat=chat, dedupe_key="once")
    make.settle(row, at=make.NOW)
    Delivery.objects.update(observed_at=make.NOW)
    got: list[int] = []

    def owe() -> None:
        try:
            made = delivery.enqueue(chat=chat, text="Twice?", dedupe_key="once", due_at=LATER)
            got.append(made.pk)
        finally:
            connection.close()

    owing = threading.Thread(target=owe)
    with transaction.atomic():
        assert delivery.archive(delivery_ids=[row.pk], before=OLD) == 1
        owing.start()
        _await_lock()
    owing.join(10)

    assert got == [row.pk]
    assert not Delivery.objects.exists()
    delivery.drop_months(before=LATER)


def _await_lock() -> None:
    with connection.cursor() as cursor:
        for _ in range(1_000):
            cursor.execute("SELECT pg_sleep(0.01), count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[1]:
                return
    raise AssertionError("nobody waits")


@pytest.mark.django_db
def test_who_is_erased_is_erased_in_the_archive() -> None:
    told()
    archive_some(before=OLD)
    learner = Journey.objects.get().learner

    done = privacy.erase(learner=learner, now=LATER)

    row = ArchivedDelivery.objects.get()
    assert done.rows["archived"] == 1
    assert (row.text, row.buttons, row.rest["last_error"]) == ("", [], "")
    assert [t["description"] for t in row.tries] == [""]
    assert (row.status, row.dedupe_key) == ("sent", row.dedupe_key)


@pytest.mark.django_db
def test_a_month_is_dropped_when_all_of_it_is_old_enough() -> None:
    told()
    archive_some(before=OLD)
    month = Month(2026, 3)

    assert delivery.drop_months(before=month.ends - timedelta(seconds=1)) == []
    assert delivery.drop_months(before=month.ends) == [month]

    assert not ArchivedDelivery.objects.exists()
    assert delivery.months() == []
    assert Journey.objects.exists()


@pytest.mark.django_db
def test_the_command_says_what_would_go_and_then_lets_it_go() -> None:
    told()
    waiting = InboundUpdate.objects.create(update_id=1, payload={}, received_at=make.NOW)
    for number in (2, 3):
        InboundUpdate.objects.create(
            update_id=number, payload={}, received_at=make.NOW, handled_at=make.NOW
        )

    def run(*options: str) -> dict[str, int]:
        out = StringIO()
        call_command("prune", *options, "--json", stdout=out)
        rows = json.loads(out.getvalue().splitlines()[-1])["rows"]
        return {kind: count for kind, count in rows.items() if count}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("delivery.clock.now", lambda: LATER)
        foreseen = run("--dry-run")
        assert Delivery.objects.exists()
        assert foreseen == {"deliveries": 1, "updates": 1}
        assert run() == foreseen
        assert run() == {}

    assert set(InboundUpdate.objects.values_list("update_id", flat=True)) == {1, 3}
    assert waiting.pk in set(InboundUpdate.objects.values_list("pk", flat=True))


@pytest.mark.django_db
def test_years_later_the_schools_own_records_are_still_there() -> None:
    """Every kind goes by its policy, and nothing else: calls stay, their raw records do not."""
    make_everything()
    kept = {model: model._default_manager.count() for model in OWN_RECORDS}
    assert min(kept.values()) > 0

    done = {one.kind: one for one in retention.prune(now=make.NOW + timedelta(days=2_000))}

    assert all(one.done for one in done.values())
    assert {kind for kind, one in done.items() if one.rows} >= {
        "deliveries", "Google records", "heartbeats", "audit log", "archive months",
    }  # fmt: skip
    assert {model: model._default_manager.count() for model in OWN_RECORDS} == kept
    assert not Activity.objects.exists()
    assert SyncRun.objects.filter(state="complete").exists()
    assert not any(one.rows for one in retention.prune(now=make.NOW + timedelta(days=2_000)))


@pytest.mark.django_db
def test_what_a_journey_under_way_asks_for_is_kept() -> None:
    """`replied` looks back to the beginning of a journey, however long ago."""
    told(ended=False)
    for number, at in ((1, make.NOW - timedelta(days=1)), (2, make.NOW), (3, LATER)):
        InboundUpdate.objects.create(update_id=number, payload={}, received_at=at, handled_at=at)

    retention.prune(now=LATER)

    assert set(InboundUpdate.objects.values_list("update_id", flat=True)) == {2, 3}
    assert Decision.objects.exists()


def test_the_table_for_people_says_the_same() -> None:
    said = Path("docs/privacy.md").read_text()
    lines = {
        line.split("|")[1].strip(): line.split("|")[2].strip()
        for line in said.splitlines()
        if line.startswith("|") and line.endswith("|")
    }

    for policy in retention.POLICIES:
        assert lines[policy.kind] == f"{policy.days:,} days", policy.kind
    assert lines["archive months"] == f"{retention.ARCHIVE_DAYS} days"
