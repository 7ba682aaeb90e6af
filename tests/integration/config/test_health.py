"""What a machine asks the web process."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from config import views
from delivery.models import Heartbeat


@pytest.mark.django_db
def test_ready_when_database_redis_and_migrations_are(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "problems": {}, "fence": ""}


@pytest.mark.django_db
def test_a_minute_in_which_the_probe_was_answered_counts_as_up(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S18: uptime is measured; what is not ready is not up, and one row an hour is enough."""
    monkeypatch.setattr(views, "pulse", views.Pulse())
    right, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"
    client.get("/readyz")
    assert not Heartbeat.objects.filter(name="web").exists()

    settings.REDIS_URL = right
    with CaptureQueriesContext(connection) as first:
        client.get("/readyz")
    with CaptureQueriesContext(connection) as second:
        client.get("/readyz")

    assert [row.minutes for row in Heartbeat.objects.filter(name="web")] == [1]
    assert len(second) == len(first) - 1  # no more than one write in a quarter of a minute


@pytest.mark.django_db
def test_not_ready_without_redis(client: Client, settings: Any) -> None:
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert list(answer.json()["problems"]) == ["redis"]


def test_alive_whatever_the_host_name_and_without_a_redirect(client: Client, settings: Any) -> None:
    """S08: a 3xx would count as healthy, so nothing may answer in the health check's place."""
    settings.ALLOWED_HOSTS = []
    settings.SECURE_SSL_REDIRECT = True

    answer = client.get("/healthz", headers={"host": "10.0.0.7"})

    assert (answer.status_code, answer.content) == (200, b"ok")
