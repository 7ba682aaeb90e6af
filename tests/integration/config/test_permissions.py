"""Every page and every action of the admin × every role, against a table one can read.

The table is permissions.md beside this file. `UPDATE_TABLES=1 pytest <this file>` writes it anew
from what is so; look at the difference before you commit it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from http import HTTPStatus
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, resolve, reverse

from config.urls import urlpatterns
from nurture.domain.roles import DEEDS, ROLES
from nurture.services.roles import remove_roles, set_up_roles
from tests.factories.everything import make_everything

pytestmark = pytest.mark.django_db
TABLE = Path(__file__).with_name("permissions.md")
#: Django's own pages of a model.
PAGES = ("changelist", "change", "history", "add", "delete")
SEE = "changelist change history"  # what makes up `see`
OF_THE_SITE = {
    "index", "login", "logout", "password_change", "password_change_done", "autocomplete", "jsi18n",
    "view_on_site", "app_list", "search", "auth_user_password_change",
}  # fmt: skip
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
UPDATE = bool(os.environ.get("UPDATE_TABLES"))


class Said(list[str]):
    """The messages of one request."""

    def add(self, level: int, message: str, extra_tags: str = "") -> None:
        self.append(str(message))


def ask(
    user: User, url: str, data: dict[str, Any] | None = None
) -> tuple[HttpResponse | None, Said]:
    """What a view answers, not rendered; None if it is refused."""
    factory = RequestFactory()
    request: Any = factory.get(url) if data is None else factory.post(url, data)
    request.user, request.session, request._messages = user, {}, Said()
    request._dont_enforce_csrf_checks = True
    found = resolve(request.path)
    try:
        return found.func(request, *found.args, **found.kwargs), request._messages
    except PermissionDenied:
        return None, request._messages


def names(patterns: list[Any]) -> list[str]:
    """The names of all addresses below the admin."""
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += names(pattern.url_patterns)
        elif isinstance(pattern, URLPattern) and pattern.name:
            found.append(pattern.name)
    return found


def of_model(model: type[Model], page: str) -> str:
    """The address of one of Django's pages of a model, for a row that there is."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    if page in {"changelist", "add"}:
        return reverse(name)
    row = model._default_manager.order_by("pk").first()
    assert row is not None, f"make_everything makes no {model.__name__}"
    return reverse(name, args=[row.pk])


def pages_of(model: type[Model]) -> dict[str, str]:
    """The address of each of Django's pages of a model."""
    return {page: of_model(model, page) for page in PAGES}


def may_do(user: User, pages: dict[str, str]) -> str:
    """What somebody may do with the rows of a model, in words."""
    done, edits = [], False
    for page, url in pages.items():
        answer, _ = ask(user, url)
        if answer is None:
            continue
        context = getattr(answer, "context_data", None) or {}
        edits = edits or bool(page == "change" and context.get("has_change_permission"))
        done.append(page)
    return " ".join(done).replace(SEE, "see edit" if edits else "see")


def may_act(user: User, model: type[Model], action: str) -> str:
    """Whether an action goes as far as its page of confirmation."""
    row = model._default_manager.order_by("pk").first()
    url = of_model(model, "changelist")
    answer, said = ask(user, url, {"action": action, "_selected_action": [row.pk], "index": "0"})  # type: ignore[union-attr]
    shown_the_list = "cl" in (getattr(answer, "context_data", None) or {})
    refused = answer is None or shown_the_list or "No action selected." in said
    return "" if refused else "yes"


def may_open(user: User, name: str) -> str:
    """Whether an address of our own answers, asked for with the first row of its model."""
    model = next(m for m in MODELS if name.startswith(f"{m._meta.app_label}_{m._meta.model_name}_"))
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    for known in ({"args": [row.pk]}, {"args": [getattr(row, "language", ""), "stopped"]}, {}):
        with suppress(NoReverseMatch):
            url = reverse(f"admin:{name}", **known)
            break
    get, post = ask(user, url)[0], ask(user, url, {})[0]
    return " ".join(["look"] * (get is not None) + ["do"] * (post is not None))


def may_use(user: User, name: str) -> str:
    """Whether a page of no model answers, and whether it goes as far as its confirmation."""
    url = reverse(name)
    get, post = ask(user, url)[0], ask(user, url, {"name": "deliver", "to": "off"})[0]
    does = post is not None and post.status_code != HTTPStatus.METHOD_NOT_ALLOWED
    return " ".join(["look"] * (get is not None) + ["do"] * does)


def pages_of_no_model() -> list[str]:
    """Addresses below admin/ that the site knows nothing of; the way in has its own tests."""
    found = [found for found in urlpatterns if isinstance(found, URLPattern) and found.name]
    below = [str(page.name) for page in found if str(page.pattern).startswith("admin/")]
    return sorted(name for name in below if not name.startswith("second_factor"))


def own_pages() -> list[str]:
    """Addresses that are none of Django's for a model, nor of the site as a whole."""
    djangos = {f"{m._meta.app_label}_{m._meta.model_name}_{page}" for m in MODELS for page in PAGES}
    djangos |= {f"{m._meta.app_label}_{m._meta.model_name}_permissions" for m in MODELS}
    return sorted(set(names(list(admin.site.urls[0]))) - djangos - OF_THE_SITE)


def rows_of_the_table(users: dict[str, User]) -> list[tuple[str, list[str]]]:
    """(page or action, what each role may) for everything that is registered."""
    table = []
    for model in MODELS:
        label, pages = model._meta.label, pages_of(model)
        table.append((label, [may_do(user, pages) for user in users.values()]))
        request = RequestFactory().get("/")
        request.user = users["root"]
        for action in admin.site._registry[model].get_actions(request):
            name = f"{label}: {action}"
            table.append((name, [may_act(user, model, action) for user in users.values()]))
    for page in own_pages():
        table.append((page, [may_open(user, page) for user in users.values()]))
    for page in pages_of_no_model():
        table.append((page, [may_use(user, page) for user in users.values()]))
    return table


def test_every_page_and_action_is_for_those_whom_the_table_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page or an action without a line fails, and so does a line that is not so."""
    # The menu around each page is nothing that a page is refused for, and a third of the work.
    monkeypatch.setattr(admin.site, "each_context", lambda request: {})
    make_everything()
    set_up_roles()
    users = {}
    for role in ROLES:
        users[role] = User.objects.create_user(role, is_staff=True)
        users[role].groups.add(Group.objects.get(name=role))
    root = {"root": User.objects.create_superuser("root")}
    lines = rows_of_the_table(users | root)

    said = "".join(
        f"| {name} | {' | '.join(cell or '–' for cell in cells[:-1])} |\n" for name, cells in lines
    )
    head = f"| | {' | '.join(ROLES)} |\n|---|{'---|' * len(ROLES)}\n"
    if UPDATE:
        TABLE.write_text(head + said)
    assert TABLE.read_text() == head + said
    assert all(cells[-1] for _, cells in lines)  # whoever may everything gets everywhere


def test_who_has_no_role_sees_nothing() -> None:
    make_everything()
    nobody = User.objects.create_user("new", is_staff=True)

    for model in MODELS:
        assert may_do(nobody, pages_of(model)) == "", model


def test_roles_are_set_and_not_added_to() -> None:
    """Run again, the command takes away what somebody gave, and keeps the members."""
    set_up_roles()
    group = Group.objects.get(name="viewer")
    before = set(group.permissions.all())
    member = User.objects.create_user("ann", is_staff=True)
    member.groups.add(group)
    group.permissions.add(Permission.objects.get(codename="delete_user"))

    call_command("setup_roles", stdout=StringIO())

    assert set(group.permissions.all()) == before
    assert list(member.groups.all()) == [group]
    assert {deed.permission for deed in DEEDS} <= User.objects.create_superuser(
        "root"
    ).get_all_permissions()


def test_roles_can_be_taken_away_again() -> None:
    set_up_roles()

    remove_roles()

    assert not Group.objects.filter(name__in=ROLES).exists()
    assert not Permission.objects.filter(codename="resend_delivery").exists()


def test_the_migration_makes_the_roles_in_an_empty_database_and_takes_them_away() -> None:
    """Permissions are made after all migrations; this one needs them, and its own are added."""
    migration = import_module("nurture.migrations.0010_roles")
    then = MigrationLoader(connection).project_state(("nurture", "0010_roles")).apps
    Group.objects.all().delete()
    Permission.objects.all().delete()

    migration.make(then, None)

    operator = Group.objects.get(name="operator")
    assert operator.permissions.filter(codename="resend_delivery").exists()
    assert operator.permissions.filter(codename="change_switch").exists()
    migration.unmake(then, None)
    assert not Group.objects.exists()
