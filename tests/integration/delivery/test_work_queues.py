"""P15, P16: what cannot be known and what was given up waits for a person, with its evidence."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from delivery import clock, services
from delivery.models import Attempt, Delivery, Gate
from nurture.services.roles import set_up_roles
from tests.factories import nurture
from tests.factories.delivery import make_delivery

pytestmark = pytest.mark.django_db
UNKNOWN, DEAD, ALL = (
    f"admin:delivery_{name}_changelist" for name in ("unknowndelivery", "deaddelivery", "delivery")
)


def staff(role: str = "operator") -> Client:
    """Somebody with a role, logged in."""
    set_up_roles()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def in_doubt(**known: Any) -> Delivery:
    """A delivery of which nobody knows whether it arrived, its quarantine over."""
    row = make_delivery(**known)
    at = clock.now() - timedelta(hours=1)
    nurture.settle(row, at=at, status="unknown", reason="no_answer")
    Attempt.objects.create(
        delivery=row, fence=1, started_at=at, finished_at=at + timedelta(seconds=20),
        outcome="unknown", description="timed out",
    )  # fmt: skip
    return Delivery.objects.get(pk=row.pk)


def given_up() -> Delivery:
    """A delivery that failed as often as it may."""
    row = make_delivery()
    Delivery.objects.filter(pk=row.pk).update(
        status="dead", reason="too_many_tries", settled_at=clock.now(), attempts=8
    )
    return Delivery.objects.get(pk=row.pk)


def planned() -> Delivery:
    """A delivery that is due tomorrow."""
    return make_delivery(due_at=clock.now() + timedelta(days=1))


def act(client: Client, name: str, action: str, *rows: Delivery | Gate, **more: str) -> str:
    """Run an action from a list; what the answer says."""
    data = {"action": action, "_selected_action": [row.pk for row in rows], **more}
    answer = client.post(reverse(name), data, follow=True)
    return str(answer.content.decode())


def status(row: Delivery) -> tuple[str, str]:
    """Where it stands now."""
    row.refresh_from_db()
    return row.status, row.reason


# --- pages ----------------------------------------------------------------------------------------


def test_a_queue_shows_what_happened_and_what_each_choice_does() -> None:
    doubtful, dead, sent = in_doubt(text="Where were you?"), given_up(), make_delivery(text="Sent")
    nurture.settle(sent, at=clock.now())
    client = staff()

    page = client.get(reverse(UNKNOWN)).content.decode()

    assert "Where were you?" in page
    assert "no answer came, so it may have arrived" in page
    assert "no word whether Telegram took it after 20.0 s (timed out)" in page
    assert "Whoever did get it gets it twice" in page
    assert dead.text not in page
    assert ">Sent<" not in page
    assert dead.text in client.get(reverse(DEAD)).content.decode()
    assert status(doubtful) == ("unknown", "no_answer")


def test_a_queue_of_many_takes_no_more_queries_than_one_of_one() -> None:
    client = staff()
    counts = []
    for more in (1, 30):
        for _ in range(more):
            in_doubt()
        with CaptureQueriesContext(connection) as seen:
            assert client.get(reverse(UNKNOWN)).status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 15, [row["sql"][:300] for row in seen][-3:]


def test_an_empty_queue_says_that_all_is_well() -> None:
    assert "Nothing is in doubt" in staff().get(reverse(UNKNOWN)).content.decode()


def test_the_page_of_one_offers_what_fits_it() -> None:
    client = staff()
    offers = {
        row.status: client.get(
            reverse("admin:delivery_delivery_change", args=[row.pk])
        ).content.decode()
        for row in (in_doubt(), given_up(), planned())
    }
    for status_of, wanted in {
        "unknown": {"confirm_arrival", "again", "drop"},
        "dead": {"again", "drop"},
        "pending": {"withdraw"},
    }.items():
        names = ("confirm_arrival", "again", "drop", "withdraw", "take_back")
        found = {name for name in names if f'value="{name}"' in offers[status_of]}
        assert found == wanted, status_of


def test_who_may_only_look_is_offered_nothing() -> None:
    row = in_doubt()
    client = staff("viewer")
    page = client.get(reverse("admin:delivery_delivery_change", args=[row.pk])).content.decode()
    assert 'name="action"' not in page
    act(client, UNKNOWN, "drop", row, confirmed="1")
    assert status(row) == ("unknown", "no_answer")


# --- choices --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "becomes"),
    [
        ("confirm_arrival", ("sent", "")),
        ("again", ("pending", "")),
        ("drop", ("cancelled", "dropped")),
    ],
)
def test_a_choice_shows_first_and_acts_when_confirmed(
    action: str, becomes: tuple[str, str]
) -> None:
    row, client = in_doubt(), staff()

    act(client, UNKNOWN, action, row)
    assert status(row) == ("unknown", "no_answer")

    act(client, UNKNOWN, action, row, confirmed="1")
    assert status(row) == becomes
    assert LogEntry.objects.get(content_type__model="delivery").object_id == str(row.pk)


def test_what_was_given_up_is_dropped_for_good() -> None:
    row, client = given_up(), staff()
    act(client, DEAD, "drop", row, confirmed="1")
    assert status(row) == ("cancelled", "dropped")
    assert services.send_again(delivery_ids=[row.pk], now=clock.now()) == []
    assert services.take_back(delivery_ids=[row.pk], now=clock.now()) == 0


def test_a_drop_ends_the_quarantine() -> None:
    row = make_delivery()
    nurture.settle(row, at=clock.now(), status="unknown", reason="no_answer")
    Delivery.objects.filter(pk=row.pk).update(settled_at=None)
    assert services.drop(delivery_ids=[row.pk]) == 1
    assert services.drop(delivery_ids=[row.pk]) == 0
    row.refresh_from_db()
    assert row.settled_at is not None


# --- undo -----------------------------------------------------------------------------------------


def test_a_withdrawal_is_undone_from_the_page_that_tells_of_it() -> None:
    row, client = planned(), staff()
    due_at = row.due_at

    page = act(client, ALL, "withdraw", row, confirmed="1")
    assert status(row) == ("cancelled", "withdrawn_by_staff")
    assert 'value="take_back"' in page

    assert "after all?" in act(client, ALL, "take_back", row)
    act(client, ALL, "take_back", row, confirmed="1")
    assert status(row) == ("pending", "")
    assert (row.due_at, row.run_at, row.settled_at) == (due_at, due_at, None)


def test_a_pause_is_no_withdrawal_that_could_be_taken_back() -> None:
    """It would go out beside the message that the journey plans when it goes on."""
    row = planned()
    services.cancel(dedupe_keys=[row.dedupe_key], reason="withdrawn")
    assert services.take_back(delivery_ids=[row.pk], now=clock.now()) == 0


def test_what_is_due_by_now_or_untrue_by_now_stays_withdrawn() -> None:
    late, untrue = planned(), planned()
    services.withdraw(delivery_ids=[late.pk, untrue.pk])
    assert services.withhold(delivery_ids=[untrue.pk], reason="corrected") == 1
    later = clock.now() + timedelta(days=2)
    assert services.take_back(delivery_ids=[late.pk], now=later) == 0
    assert services.take_back(delivery_ids=[untrue.pk], now=clock.now()) == 0
    seen = services.preview_back(delivery_ids=[late.pk, untrue.pk], now=later)
    assert [refusal for _, refusal in seen] == ["due_already", "withdrawn"]


def test_a_search_finds_the_deliveries_of_a_person() -> None:
    contact = nurture.make_contact(name="Rosa Maro")
    assert contact.chat is not None
    make_delivery(chat=contact.chat, text="For Rosa")
    make_delivery(text="For nobody in particular")
    client = staff()
    for words in ("rosa", "maro rosa", contact.learner.email, str(contact.chat.telegram_id)):
        page = client.get(reverse(ALL), {"q": words}).content.decode()
        assert "For Rosa" in page, words
        assert "in particular" not in page


def test_the_fence_of_a_copy_is_nobodys_to_open_from_the_list() -> None:
    """Who opens all gates at once leaves it closed: only post_restore asks what went out since.

    So does the kill switch: everything would go out while each page says that it is off.
    """
    keys = ("bot", "bot:fence", "bot:switch")
    gates = [services.close_gate(key=key, reason="a copy", by="fence") for key in keys]
    client, name = staff(), "admin:delivery_gate_changelist"

    asked = act(client, name, "open_again", *gates)
    assert "Open 1 gate" in asked
    assert "only manage.py post_restore" in asked
    assert "manage.py switch deliver" in asked
    act(client, name, "open_again", *gates, confirmed="1")

    closed = Gate.objects.filter(closed_until__gt=clock.now()).order_by("key")
    assert list(closed.values_list("key", flat=True)) == ["bot:fence", "bot:switch"]
