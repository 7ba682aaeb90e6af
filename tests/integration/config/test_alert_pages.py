"""Alerts in the admin: what stands and stood, and silence by who may (S16)."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from delivery import clock
from nurture.domain.alerts import Code
from nurture.models import AlertEpisode, AlertSilence
from nurture.services import telling
from nurture.services.roles import set_up_roles
from tests.factories.everything import make_alerts

pytestmark = pytest.mark.django_db
LIST, SILENCE = (
    reverse(f"admin:nurture_alertepisode_{name}") for name in ("changelist", "silence")
)


def member(client: Client, role: str) -> None:
    """Log in somebody of a role."""
    set_up_roles()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)


def text_of(client: Client, url: str) -> str:
    """A page."""
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_what_stands_is_above_what_stood(client: Client) -> None:
    member(client, "viewer")
    make_alerts()
    over, now = AlertEpisode.objects.get(), clock.now()
    for code, opened in ((Code.POISON, now), (Code.GOOGLE_DARK, None)):  # not for long enough yet
        AlertEpisode.objects.create(
            code=code, severity="critical", words="It is so.", seen_since=now, opened_at=opened
        )

    page = text_of(client, LIST)
    assert page.index("Something kills its worker") < page.index("A circuit breaker is open")
    assert "not read as a whole" not in page
    one = text_of(client, reverse("admin:nurture_alertepisode_change", args=[over.pk]))
    assert "it answered 503, tried 3 times" in one
    assert "docs/operations/alerts.md, breaker_open" in one
    assert "Alerts that were told" in text_of(client, reverse("overview"))


def test_an_operator_silences_and_speaks_again(client: Client) -> None:
    member(client, "operator")

    page = client.post(SILENCE, {"length": "120", "reason": "moving house"}, follow=True)
    assert "moving house" in page.content.decode()
    row = AlertSilence.objects.get()
    assert (row.by, (row.until - row.since).total_seconds()) == ("operator", 7200)
    assert "Nobody is told of alerts. It ends" in text_of(client, reverse("overview"))

    client.post(SILENCE, {"length": "5 years"})
    assert AlertSilence.objects.count() == 1
    client.post(SILENCE, {"speak": "1"})
    assert not telling.is_silenced(now=clock.now())
    said = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert said == ["Nobody is told for 2 hours.", "Alerts are told again."]


def test_who_may_only_look_cannot_silence(client: Client) -> None:
    member(client, "publisher")

    assert client.post(SILENCE, {"length": "120"}).status_code == 403
    assert "Tell nobody for" not in text_of(client, LIST)
    assert not AlertSilence.objects.exists()
