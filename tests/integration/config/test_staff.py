"""The pages of users: what the role admin must not make of itself there."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse

from nurture.services.roles import set_up_roles

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password="of-root-alone")


@pytest.fixture
def ann(client: Client) -> User:
    """Who has the role admin, logged in."""
    set_up_roles()
    ann = User.objects.create_user("ann", is_staff=True)
    ann.groups.add(Group.objects.get(name="admin"))
    client.force_login(ann)
    return ann


def page_of(user: User) -> str:
    return reverse("admin:auth_user_change", args=[user.pk])


def form_of(user: User, **changes: Any) -> dict[str, Any]:
    """What the page of a user posts."""
    joined = user.date_joined
    groups = list(user.groups.values_list("pk", flat=True))
    return {
        "username": user.username, "is_active": "on", "is_staff": "on", "groups": groups,
        "date_joined_0": f"{joined:%Y-%m-%d}", "date_joined_1": f"{joined:%H:%M:%S}", **changes,
    }  # fmt: skip


def test_the_role_admin_makes_nobody_a_superuser(client: Client, ann: User) -> None:
    """Nor itself; the rest of the form is for it to change (S18)."""
    answer = client.post(page_of(ann), form_of(ann, is_superuser="on", first_name="Ann"))

    assert answer.status_code == HTTPStatus.FOUND
    ann.refresh_from_db()
    assert (ann.first_name, ann.is_superuser) == ("Ann", False)


def test_superusers_make_superusers(client: Client, ann: User, root: User) -> None:
    client.force_login(root)

    client.post(page_of(ann), form_of(ann, is_superuser="on"))

    ann.refresh_from_db()
    assert ann.is_superuser


def test_the_role_admin_lays_no_hand_on_a_superuser(client: Client, ann: User, root: User) -> None:
    """It sees that there is one, without the hash; name and password stay, and so does the row."""
    new = {"password1": "anns-from-now-on", "password2": "anns-from-now-on"}
    both = {"usable_password": "true", "set-password": "x", **new}

    changed = client.post(page_of(root), form_of(root, username="mine"))
    password = client.post(reverse("admin:auth_user_password_change", args=[root.pk]), both)
    deleted = client.post(reverse("admin:auth_user_delete", args=[root.pk]), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [root.pk], "post": "yes"}
    client.post(reverse("admin:auth_user_changelist"), chosen)
    seen = client.get(page_of(root))

    refused = {changed.status_code, password.status_code, deleted.status_code}
    assert refused == {HTTPStatus.FORBIDDEN}
    root.refresh_from_db()
    assert root.username == "root"
    assert root.check_password("of-root-alone")
    assert seen.status_code == HTTPStatus.OK
    assert root.password.rpartition("$")[2] not in seen.content.decode()
