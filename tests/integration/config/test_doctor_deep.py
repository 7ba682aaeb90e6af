"""`doctor --deep`: everybody outside is asked or reached, and nothing is sent (N12)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attendance.sandbox import build_world, serve, service_account_key
from config import doctor, doctor_deep
from delivery import services
from delivery.telegram import ALLOWED_UPDATES
from nurture.domain.scorecard import Item
from tests.e2e.commands import TOKEN
from tests.integration.delivery.receiver import Receiver, receiving

NAMED = ("SLACK_WEBHOOK_URL", "PAGERDUTY_API_URL", "OTEL_EXPORTER_OTLP_ENDPOINT", "BACKUP_S3_URL")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Somebody who can be reached, and writes down what comes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        yield server


@pytest.fixture
def outside(settings: Any, listener: socket.socket) -> Iterator[Receiver]:
    """A Telegram and a Google that answer; hosts for alerts, traces and backups."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    settings.VALUES = settings.VALUES | dict.fromkeys(NAMED, f"{url}/secret-path")
    settings.VALUES |= {
        "PAGERDUTY_ROUTING_KEY": "key", "SENTRY_DSN": f"{url.replace('//', '//k@')}/1",
    }  # fmt: skip
    google = build_world(now=timezone.now(), weeks=1, learners=2, seed=1).google()
    with receiving(Receiver()) as telegram, serve(google) as root:
        settings.BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, telegram.url
        settings.GOOGLE_SERVICE_ACCOUNT_JSON = service_account_key(f"{root}/token")
        settings.GOOGLE_DELEGATED_USER, settings.GOOGLE_API_URL = "a@school.example", root
        yield telegram


def named(items: list[Item]) -> dict[str, Item]:
    return {item.name: item for item in items}


@pytest.mark.django_db
def test_all_that_can_be_reached_is_and_gets_nothing(
    outside: Receiver, listener: socket.socket
) -> None:
    found = named(doctor_deep.examine())

    wrong = {item.name: item.value for item in found.values() if item.verdict == "fail"}
    assert wrong == {}
    for name in ("slack", "pagerduty", "otlp", "sentry", "backup_storage"):
        assert (found[name].verdict, found[name].value) == (
            "pass", "127.0.0.1 can be reached; nothing was sent",
        )  # fmt: skip
        wire, _ = listener.accept()
        with wire:
            wire.settimeout(5)
            assert wire.recv(100) == b""  # a connection, and not a byte
    assert found["google_scopes"].verdict == found["webhook"].verdict == "pass"
    assert (outside.probes, outside.total) == (1, 0)
    assert "secret" not in json.dumps([item.as_dict() for item in found.values()])


@pytest.mark.django_db
def test_what_is_wrong_is_told_with_what_to_do(settings: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]  # free from the end of the block on
    settings.BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, f"http://127.0.0.1:{closed}"
    settings.VALUES = settings.VALUES | {
        "SLACK_WEBHOOK_URL": f"http://127.0.0.1:{closed}", "BACKUP_S3_URL": "s3://bucket/backups",
        "METRICS_TOKEN": "short", "FIELD_ENCRYPTION_KEY": (),
    }  # fmt: skip
    settings.SECRET_KEY = "a" * 60
    settings.IS_LOCAL, settings.PUBLIC_URL = False, f"https://127.0.0.1:{closed}"
    services.close_gate(key="bot:fence", reason="this database is a copy", by="test")
    out = StringIO()

    with pytest.raises(CommandError, match="checks failed"):
        call_command("doctor", "--deep", "--json", stdout=out)

    report = json.loads(out.getvalue().splitlines()[-1])
    found = {item["name"]: item for item in report["items"]}
    said = {
        "webhook": "Telegram did not say", "slack": "cannot be reached",
        "keys": "SECRET_KEY is weak",
        "certificate": "no TLS", "fence": "a copy",
    }  # fmt: skip
    for name, words in said.items():
        assert (found[name]["verdict"], words in found[name]["value"]) == ("fail", True), name
    assert "METRICS_TOKEN is short" in found["keys"]["value"]
    assert "FIELD_ENCRYPTION_KEY is empty" in found["keys"]["value"]
    for name in ("otlp", "pagerduty", "google_scopes", "backup_storage"):
        assert found[name]["verdict"] == "not_yet", name
    assert report["ok"] is False


OURS = "https://telbot.example/telegram/webhook/"


@pytest.mark.django_db
def test_a_zone_that_the_database_does_not_know_is_found(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P08: Python knows it, so telbot boots; the hours of its messages could not be looked at."""
    assert named(doctor.examine(ask=False))["database"].verdict == "pass"

    monkeypatch.setattr(doctor, "known_zones", lambda: frozenset({"Europe/Madrid"}))
    settings.TIME_ZONE = "localtime"
    found = named(doctor.examine(ask=False))["database"]

    assert (found.verdict, "TIME_ZONE=localtime" in found.value) == ("fail", True)


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({}, "another one is set (host none); run manage.py runbot --webhook"),
        ({"url": "https://other.example/s3cret"}, "another one is set (host other.example)"),
        ({"url": OURS, "pending_update_count": 101}, "101 updates wait"),
        ({"url": OURS, "last_error_date": 60}, "could not push: 502"),
        ({"url": OURS, "allowed_updates": ["message"]}, "not all kinds of updates"),
    ],
)
def test_a_webhook_that_is_not_as_it_should_be(info: dict[str, Any], words: str) -> None:
    at = timezone.now() - timedelta(seconds=info.get("last_error_date", 0))
    known = {"last_error_message": "502", **info}
    if "last_error_date" in info:
        known["last_error_date"] = int(at.timestamp())

    wrong = doctor_deep.of_webhook(known, OURS, now=timezone.now())

    assert len(wrong) == 1
    assert words in wrong[0]
    assert "s3cret" not in wrong[0]


def test_a_webhook_as_it_should_be() -> None:
    info = {
        "url": OURS, "pending_update_count": 3, "last_error_date": 1, "last_error_message": "old",
        "allowed_updates": list(ALLOWED_UPDATES),
    }  # fmt: skip
    assert doctor_deep.of_webhook(info, OURS, now=timezone.now()) == []
