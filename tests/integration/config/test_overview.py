"""The first page: what it says, what it links to, and what it costs (issue of the launch plan's
figures: S14, S18, P29)."""

from __future__ import annotations

from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from attendance.models import SyncRun
from delivery import clock, services
from delivery.models import Delivery, Heartbeat, Process
from delivery.services.updates import store_updates
from nurture.models import StaffTask
from nurture.services.roles import set_up_roles
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle
from tests.factories.school import make_school

pytestmark = pytest.mark.django_db
MOST_QUERIES = 15
INDEX, FRAGMENT = reverse("admin:index"), reverse("overview")


def member(client: Client, role: str) -> User:
    """Log in somebody of a role."""
    set_up_roles()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
    return user


class Reader(HTMLParser):
    """The words and the links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        """Words."""
        self.words += data.split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links."""
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]

    @property
    def text(self) -> str:
        """All words."""
        return " ".join(self.words)


def read(client: Client, url: str = FRAGMENT) -> Reader:
    """A page as one reads it."""
    answer = client.get(url)
    assert answer.status_code == 200
    return Reader(answer.content.decode())


def end(status: str, reason: str = "", *, times: int = 1, **values: Any) -> list[Delivery]:
    """Deliveries that came to their end just now."""
    made = [make_delivery(**values) for _ in range(times)]
    for row in made:
        settle(row, at=clock.now(), status=status, reason=reason)
    return made


def test_a_viewer_sees_the_figures_with_their_targets(client: Client) -> None:
    member(client, "viewer")
    end("sent", times=23)
    end("failed", "chat_blocked")
    end("failed", "content_refused")
    end("cancelled", "withdrawn")
    said: list[dict[str, Any]] = [
        {"callback_query": {}}, {"message": {"text": "yes"}}, {"message": {"photo": []}},
        {"message": {"text": "/stop"}}, {"my_chat_member": {}},
    ]  # fmt: skip
    store_updates(payloads=[{"update_id": n, **one} for n, one in enumerate(said)], now=clock.now())

    page = read(client)

    assert "Delivery success 92 %" in page.text
    assert "Target > 95 % off target 23 of 25 in seven days." in page.text
    assert "Error rate 4 %" in page.text  # 1 of 25: who blocked the bot is no error of ours
    assert "Engagement 13 %" in page.text  # 3 of 23: a command is no reply
    assert "Activations a day 0.0" in page.text


def test_tests_count_nowhere(client: Client) -> None:
    """P22."""
    member(client, "viewer")
    Delivery.objects.filter(pk=make_delivery().pk).update(is_test=True)
    end("sent")
    Delivery.objects.filter(status="sent").update(is_test=True)

    assert "Delivery success –" in read(client).text


def test_every_number_leads_to_a_list_that_opens(client: Client) -> None:
    member(client, "operator")
    make_school()
    end("unknown", "no_answer")
    StaffTask.objects.create(kind="handover", key="1", note="Call.", created_at=clock.now())
    Heartbeat.objects.create(
        name="worker", hour=clock.now(), first_at=clock.now(), minutes=1,
        seen_at=clock.now(),
    )  # fmt: skip
    Heartbeat.objects.update(
        first_at=clock.now() - timedelta(hours=1), seen_at=clock.now() - timedelta(minutes=9)
    )

    page = read(client)

    assert len(set(page.links)) > 12
    for link in set(page.links):
        answer = client.get(link)
        assert answer.status_code == 200, link  # an unknown filter would be sent away
    assert "The worker was not seen for 9 min." in page.text


@pytest.mark.parametrize(("days", "said"), [(6, "too little to say"), (8, "on target")])
def test_uptime_is_judged_once_a_week_is_measured(client: Client, days: int, said: str) -> None:
    """S18: as the scorecard says it."""
    member(client, "viewer")
    begun = clock.now() - timedelta(days=days)
    for hour in range(days * 24 + 1):
        Heartbeat.objects.create(
            name="clock", hour=begun + timedelta(hours=hour), first_at=begun, minutes=60,
            seen_at=clock.now(),
        )  # fmt: skip

    assert f"Uptime 100 % Target > 99.5 % {said}" in read(client).text


def test_who_may_not_open_a_list_gets_the_number_without_a_link(client: Client) -> None:
    """Devices in calls are personal data (P31)."""
    member(client, "viewer")
    endpoints = reverse("admin:attendance_endpoint_changelist")

    page = read(client)

    assert "Correlation: devices known" in page.text
    assert not any(link.startswith(endpoints) for link in page.links)


def test_without_a_role_there_is_nothing_to_see(client: Client) -> None:
    client.force_login(User.objects.create_user("new", is_staff=True))

    assert "Your account has no role yet" in read(client, INDEX).text
    assert client.get(FRAGMENT).status_code == 403


def test_the_page_costs_few_queries_whatever_there_is(client: Client) -> None:
    member(client, "operator")
    with CaptureQueriesContext(connection) as few:
        read(client, INDEX)
    make_school()
    end("sent", times=5)
    end("unknown", "no_answer", times=3)
    with CaptureQueriesContext(connection) as many:
        read(client, INDEX)

    said = "\n".join(query["sql"][:120] for query in many.captured_queries)
    assert len(many) <= MOST_QUERIES, said
    assert len(many) <= len(few)


def test_alerts_say_what_is_and_what_to_do(client: Client) -> None:
    member(client, "operator")
    services.close_gate(key="bot:breaker", reason="Telegram does not answer", by="sender")
    services.close_gate(key="stream:welcome", reason="paused by staff", by="ann")
    end("unknown", "no_answer", times=2)
    present = clock.now()
    SyncRun.objects.create(
        source="meet", kind="routine", state="config_error", error="scopes are missing",
        window_start_at=present - timedelta(hours=1), window_end_at=present,
        started_at=present, finished_at=present,
    )  # fmt: skip

    said = read(client).text

    assert "bot:breaker is closed: Telegram does not answer." in said
    assert "stream:welcome is closed: paused by staff." in said
    assert "2 deliveries cannot be known. Say whether each arrived" in said
    assert "Reading Google's Meet log failed: scopes are missing" in said
    assert said.index("bot:breaker is closed") < said.index("stream:welcome is closed")


def test_what_waits_behind_a_closed_gate_is_not_late(client: Client) -> None:
    member(client, "operator")
    make_delivery()  # long due
    assert "late though its gates are open" in read(client).text

    services.close_gate(key="stream:", reason="paused by staff", by="ann")

    said = read(client).text
    assert "late though its gates are open" not in said
    assert "Oldest due 0 s" in said
    assert "Due and waiting 1" in said


def test_the_checklist_goes_when_all_is_done(client: Client, settings: Any) -> None:
    member(client, "operator")
    empty = read(client).text
    assert "Set up: 0 of 9 done" in empty
    assert "Publish a draft, or run manage.py import_sequence" in empty

    make_school()
    for process in Process:
        services.beat(process)

    assert "Set up: 0 of" not in read(client).text
