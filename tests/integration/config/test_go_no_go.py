"""May telbot go live? On a week in which all went well, and with one thing broken (S18)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.test import Client
from django.urls import reverse

from attendance.models import AuditPair, SyncRun
from attendance.sandbox import build_world, serve, service_account_key
from config import audit, go_no_go
from delivery import clock, services
from delivery.models import Delivery, Heartbeat, Process
from delivery.services.installation import remember_bot
from nurture.domain.scorecard import Record
from nurture.models import JobRun, Journey, StaffTask
from nurture.services import figures
from tests.e2e.commands import TOKEN
from tests.factories import nurture as make
from tests.factories.delivery import make_delivery
from tests.factories.week import make_week
from tests.integration.config.test_overview import member
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db


class _UndoError(Exception):
    pass


def run(command: str = "go_no_go") -> tuple[int, dict[str, Any]]:
    """The exit code and the report of a command."""
    out, code = StringIO(), 0
    try:
        call_command(command, "--json", stdout=out)
    except CommandError as error:
        code = error.returncode
    line = next(line for line in reversed(out.getvalue().splitlines()) if line.startswith("{"))
    return code, json.loads(line)


def named(report: dict[str, Any], verdict: str) -> set[str]:
    """The criteria of a verdict."""
    return {item["name"] for item in report["items"] if item["verdict"] == verdict}


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, Record | None]:
    """What is known of backups and rehearsals; change it to change what is known."""
    now = clock.now()
    known: dict[str, Record | None] = {
        "backup": Record(at=now - timedelta(hours=3), ok=True, what="12 MB"),
        "rehearsal": Record(at=now - timedelta(days=3), ok=True, what="40 s"),
    }
    monkeypatch.setattr(go_no_go, "last_backup", lambda: known["backup"])
    monkeypatch.setattr(go_no_go, "last_rehearsal", lambda: known["rehearsal"])
    return known


@pytest.fixture
def outside(settings: Any) -> Iterator[None]:
    """A Telegram and a Google that answer, on loopback."""
    google = build_world(now=clock.now(), weeks=1, learners=2, seed=1).google()
    with receiving(Receiver()) as telegram, serve(google) as url:
        settings.BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, telegram.url
        settings.STAGING_ALLOWED_CHATS = None
        settings.GOOGLE_SERVICE_ACCOUNT_JSON = service_account_key(f"{url}/token")
        settings.GOOGLE_DELEGATED_USER, settings.GOOGLE_API_URL = "a@school.example", url
        settings.SLACK_WEBHOOK_URL = "https://slack.example/hook"
        settings.FIELD_ENCRYPTION_KEY = (base64.urlsafe_b64encode(bytes(32)).decode(),)
        yield


def sent_to_nobody(status: str, reason: str) -> None:
    """Twenty deliveries of the week that came to another end."""
    for _ in range(20):
        make.settle(make_delivery(), at=clock.now(), status=status, reason=reason)


def told_twice() -> None:
    """One step of a journey that went out twice."""
    pk = Journey.objects.order_by("pk")[0].pk
    for number in (1, 2):
        make.settle(make_delivery(dedupe_key=f"journey:{pk}:hello:{number}"), at=clock.now())


def unlucky(now: datetime) -> dict[str, Callable[[], object]]:
    """What may go wrong, by the criterion that has to name it."""
    long_ago = now - timedelta(hours=5)
    task = {"kind": "false_activation", "key": "1", "note": "Wrong.", "created_at": now}
    return {
        "delivery_success": lambda: sent_to_nobody("failed", "chat_blocked"),
        "error_rate": lambda: sent_to_nobody("dead", "too_many_tries"),
        "activation_accuracy": lambda: Journey.objects.update(
            status="exited", exit_reason="corrected"
        ),
        "uptime_worker": lambda: Heartbeat.objects.filter(
            name="worker", hour__lt=now - timedelta(days=1)
        ).update(minutes=50),
        "correlation": lambda: AuditPair.objects.update(verdict="wrong", truth="missed"),
        "audit": told_twice,
        "false_activations": lambda: StaffTask.objects.create(**task),
        "google_sync": lambda: SyncRun.objects.update(finished_at=long_ago),
        "oldest_due": lambda: make_delivery(due_at=long_ago),
        "open_alerts": lambda: services.close_gate(
            key="bot:breaker", reason="Telegram is silent", by="sender"
        ),
        "staff": lambda: User.objects.create_user("ben", is_staff=True),
    }


@pytest.mark.usefixtures("outside")
def test_all_passes_and_whatever_breaks_is_named(kept: dict[str, Record | None]) -> None:
    now = clock.now()
    make_week(now=now)

    code, report = run()

    assert {item["name"]: item["value"] for item in report["items"] if item["verdict"] != "pass"} \
        == {}  # fmt: skip
    assert (code, report["ok"], report["verdict"]) == (0, True, "pass")
    assert all(item["source"] and item["value"] and item["time"] for item in report["items"])

    for name, breaks in unlucky(now).items():
        try:
            with transaction.atomic():
                breaks()
                code, report = run()
                assert (code, name in named(report, "fail")) == (1, True), (name, report)
                raise _UndoError
        except _UndoError:
            pass
    kept["backup"] = Record(at=now - timedelta(hours=27), ok=True, what="12 MB")
    code, report = run()
    assert (code, named(report, "fail")) == (1, {"backup"})
    kept["backup"] = None
    code, report = run()
    assert (code, named(report, "fail"), named(report, "not_yet")) == (3, set(), {"backup"})
    assert report["ok"] is False


def test_on_a_first_day_nothing_is_invented(settings: Any) -> None:
    """What needs a week says so, though all that went out arrived."""
    for process in (Process.CLOCK, Process.WORKER):
        services.beat(process)
    for _ in range(30):
        make.settle(make_delivery(), at=clock.now())

    items = {item.name: item for item in go_no_go.judge(now=clock.now(), ask=False)}

    weekly = {
        "delivery_success", "activation_accuracy", "error_rate", "engagement", "completion",
        "uptime_clock", "uptime_worker", "uptime_web", "correlation",
    }  # fmt: skip
    assert {name for name in weekly if items[name].verdict != "not_yet"} == set()
    assert "100 % (30 of 30 deliveries)" in items["delivery_success"].value
    assert "0.0 of 7 days are measured" in items["delivery_success"].value
    assert (items["backup"].verdict, items["audit"].verdict) == ("not_yet", "not_yet")
    code, report = run("scorecard")
    assert (code, report["ok"], named(report, "fail")) == (0, True, set())
    assert {item["name"] for item in report["items"]} == weekly


def test_outside_production_a_stray_message_is_seen(settings: Any) -> None:
    settings.ENVIRONMENT, settings.BOT_TOKEN = "staging", TOKEN
    settings.STAGING_ALLOWED_CHATS = frozenset({5})
    allowed = make_delivery(chat=services.register_chat(telegram_id=5))
    make.settle(allowed, at=clock.now())
    found = {item.name: item for item in go_no_go.judge(now=clock.now(), ask=False)}
    assert found["isolation"].verdict == "pass"

    make.settle(make_delivery(), at=clock.now())

    found = {item.name: item for item in go_no_go.judge(now=clock.now(), ask=False)}
    assert (found["isolation"].verdict, found["isolation"].value[:6]) == ("fail", "1 went")


def test_the_page_says_the_same_and_changes_nothing(client: Client) -> None:
    make_week(now=clock.now())
    member(client, "viewer")
    rows = Delivery.objects.count(), figures.standing(now=clock.now()).due

    answer = client.get(reverse("go_no_go"))

    said = answer.content.decode()
    assert answer.status_code == 200
    for name in ("Delivery success", "Uptime web", "Backup", "Isolation", "Migrations"):
        assert f">{name}<" in said, name
    assert "Ask Telegram" not in said  # that is for who may act
    assert rows == (Delivery.objects.count(), figures.standing(now=clock.now()).due)
    assert client.post(reverse("go_no_go")).status_code == 405


def test_the_page_reads_what_the_night_found_and_the_command_looks() -> None:
    """Forty statements over all rows are for the night, and for who asks; not for each look."""

    def audits() -> tuple[str, str]:
        found = [
            next(item for item in go_no_go.judge(now=now, ask=ask) if item.name == "audit")
            for ask in (False, True)
        ]
        return found[0].verdict, found[1].verdict

    now = clock.now()
    make_week(now=now)
    assert audits() == ("pass", "pass")
    told_twice()
    assert audits() == ("pass", "fail")
    audit.keep(now=now)
    assert audits() == ("fail", "fail")
    JobRun.objects.update(outcome="failed")  # nobody knows what it would have found
    assert audits() == ("not_yet", "fail")


def test_without_asking_the_traces_tell(settings: Any) -> None:
    """The page waits for nobody: what Telegram and Google answered last is in the tables."""
    settings.GOOGLE_SERVICE_ACCOUNT_JSON, settings.GOOGLE_DELEGATED_USER = {"key": 1}, "a@b.example"

    def traces() -> dict[str, str]:
        items = go_no_go.judge(now=clock.now(), ask=False)
        return {item.name: item.verdict for item in items if item.name in {"telegram", "google"}}

    assert traces() == {"telegram": "not_yet", "google": "not_yet"}
    make_week(now=clock.now())
    remember_bot(username="t_bot")
    assert traces() == {"telegram": "pass", "google": "pass"}
    services.close_gate(key="bot:token", reason="Telegram refuses the token", by="sender")
    SyncRun.objects.filter(source="meet").update(state="config_error", error="scopes are missing")
    assert traces() == {"telegram": "fail", "google": "fail"}
