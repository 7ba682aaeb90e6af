"""What a machine asks the web process."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from config import views
from config.pulse import Pulse
from delivery.models import Heartbeat


@pytest.mark.django_db
def test_ready_when_database_redis_and_migrations_are(client: Client) -> None:
    answer = client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "problems": {}, "fence": ""}


@pytest.mark.django_db
def test_minutes_in_which_the_web_process_answered_are_up(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S18: a beat for what was answered, none for an error or where nobody asked."""
    own = Pulse()
    monkeypatch.setattr(views, "pulse", own)
    assert not own.write()  # nobody asked

    right, settings.REDIS_URL = settings.REDIS_URL, "unix:///nowhere/valkey.sock"
    client.get("/readyz")
    assert not own.write()  # it was not ready

    settings.REDIS_URL = right
    for _ in range(3):
        client.get("/healthz")
    assert not Heartbeat.objects.exists()  # no request waits for the database
    assert own.write()
    assert not own.write()
    assert [(row.name, row.minutes) for row in Heartbeat.objects.all()] == [("web", 1)]


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
