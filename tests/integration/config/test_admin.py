"""The admin: every page opens, in few queries, for those who may see it and for nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from delivery.models import Gate
from nurture import flags
from tests.factories.delivery import make_delivery
from tests.factories.school import make_school

pytestmark = pytest.mark.django_db
OWN = {"attendance", "delivery", "nurture"}
REGISTERED = sorted(
    (model for model in admin.site._registry if model._meta.app_label in OWN | {"auth", "waffle"}),
    key=lambda model: model._meta.label,
)
MOST_QUERIES = 25


def changelist(model: type[Model]) -> str:
    """The list page of a model."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.fixture
def boss() -> User:
    return User.objects.create_superuser("boss", password="x")


@pytest.fixture
def world() -> None:
    make_school()


def test_every_list_and_page_opens_in_few_queries(
    client: Client, boss: User, world: None, django_assert_max_num_queries: Any
) -> None:
    client.force_login(boss)
    make_delivery()
    opened = 0

    for model in REGISTERED:
        with django_assert_max_num_queries(MOST_QUERIES, info=model._meta.label):
            assert client.get(changelist(model)).status_code == 200, model
        if row := model._default_manager.first():
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_change"
            assert client.get(reverse(name, args=[row.pk])).status_code == 200, model
            opened += 1

    assert opened > 20


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_nobody_sees_what_they_may_not(client: Client, model: type[Model]) -> None:
    assert client.get(changelist(model)).status_code == 302  # to the login page
    client.force_login(User.objects.create_user("new", password="x", is_staff=True))

    assert client.get(changelist(model)).status_code == 403


def test_every_model_of_ours_is_there() -> None:
    from django.apps import apps

    ours = {model for label in OWN for model in apps.get_app_config(label).get_models()}
    # Steps and triggers are shown with their version, edits on the page of versions, verdicts with
    # the messages of a dry run, chats of staff in the editor, runs with their job, notices with
    # their alert; a course's zone on its page.
    elsewhere = {
        "Step", "AttendanceTrigger", "SequenceEdit", "DryRunVerdict", "StaffChat", "JobRun",
        "AlertNotice", "CourseZone",
    }  # fmt: skip

    assert {model.__name__ for model in ours - set(admin.site._registry)} == elsewhere


def act(client: Client, name: str, row: Model) -> int:
    """Use an action of a list on one row."""
    asked = {"action": name, "_selected_action": [str(row.pk)], "confirmed": "1"}
    return client.post(changelist(type(row)), asked).status_code


def test_closing_a_gate_needs_the_right_to_switch_it(client: Client) -> None:
    gate = Gate.objects.create(key="stream:x", scope="stream")
    user = User.objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_gate"))
    client.force_login(user)

    act(client, "close", gate)
    gate.refresh_from_db()
    assert gate.closed_until.year == 2000

    user.user_permissions.add(Permission.objects.get(codename="switch_gate"))
    act(client, "close", gate)
    gate.refresh_from_db()
    assert (gate.closed_until.year, gate.closed_by) == (2999, "viewer")


def test_switching_delivery_off_in_the_admin_closes_its_gate(client: Client, boss: User) -> None:
    """P19: one way to switch, whoever uses it."""
    from waffle.models import Switch

    flags.seed()
    client.force_login(boss)
    switch = Switch.objects.get(name="deliver")
    page = reverse("admin:waffle_switch_change", args=[switch.pk])

    client.post(page, {"note": "holiday"})

    assert Gate.objects.get(key="bot:switch").closed_until.year == 2999
