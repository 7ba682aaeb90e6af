"""The rollout page: who may turn what, what is said before, and that it is what `switch` does."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from delivery.models import Delivery, Gate
from nurture import flags
from nurture.domain.rollout import bucket
from nurture.services.roles import set_up_roles
from nurture.services.switches import reached
from tests.factories.delivery import make_delivery
from tests.factories.nurture import make_contact, make_sequence

pytestmark = pytest.mark.django_db
ROLLOUT = reverse("rollout")


@pytest.fixture
def staff(client: Client) -> Any:
    """`staff("operator")`: a browser of somebody with that role."""

    def log_in(role: str) -> Client:
        set_up_roles()
        user = User.objects.create_user(role, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
        return client

    return log_in


def turn(client: Client, name: str, to: str, **more: str) -> Any:
    """Post one turn; with `expected` it is confirmed."""
    return client.post(ROLLOUT, {"name": name, "to": to, **more}, follow=True)


def text(answer: Any) -> str:
    """The words of an answer, spaces made one."""
    return " ".join(answer.content.decode().split())


def test_the_effect_is_said_by_the_draw_that_admission_uses(staff: Any) -> None:
    """P20: before, after, and how many learners more; nothing is done before it is confirmed."""
    client = staff("operator")
    flags.set_nurture(percent=25)
    places = sorted(bucket(flags.rollout_key(make_contact().learner_id)) for _ in range(40))
    make_contact(linked=False)
    now, then = (sum(place < share for place in places) for share in (25, 50))

    asked = turn(client, "nurture", "50")

    assert f"About {then - now} more learners: {then} instead of {now}" in text(asked)
    assert "of 40 who have opened the bot" in text(asked)
    assert "Nurture: 25% → 50%?" in text(asked)
    assert flags.rollout_percent() == 25

    done = turn(client, "nurture", "50", expected="25%")

    assert "nurture: 25% → 50%." in text(done)
    assert flags.rollout_percent() == 50
    said = LogEntry.objects.get()
    assert (said.user.get_username(), said.change_message) == ("operator", "nurture: 25% → 50%")
    assert reached([50.0]) == (40, {50.0: then})


def test_the_kill_switch_says_what_waits_and_closes_the_gate(staff: Any) -> None:
    """P19."""
    client = staff("operator")
    flags.seed()
    make_delivery()

    assert "Due now: 1 delivery. What is due waits" in text(turn(client, "deliver", "off"))
    assert flags.deliver_is_on()
    turn(client, "deliver", "off", expected="on")

    gate = Gate.objects.get(key="bot:switch")
    assert (gate.closed_until.year, gate.closed_by) == (2999, "operator")
    assert not flags.deliver_is_on()
    assert "Nothing goes out until it is on again." in text(client.get(ROLLOUT))


def test_a_sequence_is_held_and_goes_on_by_the_chosen_policy(staff: Any) -> None:
    client = staff("publisher")
    make_sequence()
    turn(client, "stream:missed-class", "off", expected="on")
    assert flags.state("stream:missed-class") == "off"
    make_delivery(stream="missed-class")

    asked = turn(client, "stream:missed-class", "on")
    assert "What came due meanwhile" in text(asked)
    assert "goes out at once" not in text(asked)  # by two of the policies it is dropped
    turn(client, "stream:missed-class", "on", expected="off", policy="shift")

    assert flags.state("stream:missed-class") == "on"
    assert Delivery.objects.get().status == "pending"
    assert LogEntry.objects.filter(object_repr="stream:missed-class").count() == 2


def test_what_was_turned_meanwhile_is_not_turned_again(staff: Any) -> None:
    """P26: two people at once."""
    client = staff("operator")
    flags.set_nurture(percent=10)
    turn(client, "nurture", "50")
    flags.set_nurture(percent=0)  # somebody else, in an emergency

    said = text(turn(client, "nurture", "50", expected="10%"))

    assert "Nurture is off by now, not 10%. Nothing was changed." in said
    assert flags.rollout_percent() == 0
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("percent", ["150", "-1", "nan", "12.55", "half", ""])
def test_what_is_no_percentage_is_refused_in_words(staff: Any, percent: str) -> None:
    client = staff("operator")
    flags.set_nurture(percent=10)

    said = text(turn(client, "nurture", percent))

    assert "Nothing was changed." in said
    assert flags.rollout_percent() == 10


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("nurture", {"operator", "admin"}),
        ("attendance", {"operator", "admin"}),
        ("deliver", {"operator", "admin"}),
        ("stream:missed-class", {"publisher", "operator", "admin"}),
    ],
)
@pytest.mark.parametrize("role", ["viewer", "author", "publisher", "operator", "admin"])
def test_who_may_turn_what(staff: Any, role: str, name: str, may: set[str]) -> None:
    """P30. All may look."""
    client = staff(role)
    make_sequence()
    before = flags.state(name)
    to = "off" if before != "off" else "on"

    assert client.get(ROLLOUT).status_code == 200
    assert turn(client, name, to).status_code == (200 if role in may else 403)
    assert turn(client, name, to, expected=before).status_code == (200 if role in may else 403)
    assert flags.state(name) == (to if role in may else before)


def test_without_a_role_the_page_is_closed(client: Client) -> None:
    client.force_login(User.objects.create_user("new", is_staff=True))

    assert client.get(ROLLOUT).status_code == 403
    client.logout()
    assert client.get(ROLLOUT).status_code == 302


def test_an_unknown_switch_is_refused(staff: Any) -> None:
    client = staff("operator")

    assert turn(client, "stream:nowhere", "off", expected="on").status_code == 400
    assert turn(client, "everything", "off").status_code == 400
    assert turn(client, "<b>all</b>", "off")["Content-Type"] == "text/plain"  # what it quotes


def test_the_page_costs_few_queries_however_many_learners(staff: Any) -> None:
    client = staff("operator")
    make_sequence()
    flags.seed()
    for _ in range(30):
        make_contact()

    with CaptureQueriesContext(connection) as queries:
        client.get(ROLLOUT)

    assert len(queries) <= 12
