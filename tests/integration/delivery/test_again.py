"""Staff send again what cannot be known or was given up; nothing else does (P15, P16)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from delivery import clock, services
from delivery.models import Delivery
from tests.factories import delivery as make
from tests.factories import nurture

pytestmark = pytest.mark.django_db
CHANGELIST = "admin:delivery_delivery_changelist"


def in_doubt(**known: Any) -> Delivery:
    """A delivery of which nobody knows whether it arrived, its quarantine over."""
    row = make.make_delivery(**known)
    nurture.settle(row, at=clock.now(), status="unknown", reason="no_answer")
    row.refresh_from_db()
    return row


def given_up() -> Delivery:
    """A delivery that failed as often as it may."""
    row = make.make_delivery()
    Delivery.objects.filter(pk=row.pk).update(
        status="dead", reason="too_many_tries", settled_at=clock.now(), attempts=8, deaths=2
    )
    row.refresh_from_db()
    return row


def test_what_is_sent_again_is_owed_once_more_and_only_once() -> None:
    rows = [in_doubt(), given_up(), make.make_delivery()]
    keys = [row.pk for row in rows]

    going = services.send_again(delivery_ids=keys, now=clock.now())

    assert [row.pk for row in going] == keys[:2]
    assert services.send_again(delivery_ids=keys, now=clock.now()) == []
    for before in rows[:2]:
        after = Delivery.objects.get(pk=before.pk)
        assert (after.status, after.reason, after.attempts, after.deaths) == ("pending", "", 0, 0)
        assert after.settled_at is None
        assert after.fence > before.fence


def test_what_turned_out_to_be_untrue_is_not_sent_again() -> None:
    """N05: a corrected outcome closes this way, too."""
    row = in_doubt()
    assert services.withhold(delivery_ids=[row.pk], reason="corrected") == 1
    assert services.withhold(delivery_ids=[row.pk], reason="corrected") == 0
    assert services.send_again(delivery_ids=[row.pk], now=clock.now()) == []
    ((_, refusal),) = services.preview_again(delivery_ids=[row.pk], now=clock.now())
    assert refusal == "withdrawn"


def staff(*permissions: str) -> Client:
    """Somebody in the admin with these rights on deliveries."""
    user = User.objects.create_user("ana", is_staff=True)
    names = [f"{name}_delivery" for name in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=names))
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, *rows: Delivery, **more: str) -> Any:
    """Use the action."""
    data = {"action": "again", "_selected_action": [row.pk for row in rows], **more}
    return client.post(reverse(CHANGELIST), data)


def test_staff_see_beforehand_which_go_and_why_not() -> None:
    client = staff("view", "resend")
    may, late, sent = in_doubt(), in_doubt(expires_at=make.LONG_AGO + timedelta(hours=1)), None
    sent = make.make_delivery()
    nurture.settle(sent, at=clock.now())

    page = act(client, may, late, sent).content.decode()

    assert "Send 1 of 3 again?" in page
    assert "useless by the time" in page
    assert "neither unknown nor given up" in page
    assert Delivery.objects.filter(status="pending").count() == 0

    act(client, may, late, sent, confirmed="1")

    assert [row.pk for row in Delivery.objects.filter(status="pending")] == [may.pk]
    assert LogEntry.objects.get().object_id == str(may.pk)


def test_who_may_only_look_sends_nothing_again() -> None:
    row = in_doubt()
    act(staff("view"), row, confirmed="1")
    row.refresh_from_db()
    assert row.status == "unknown"
