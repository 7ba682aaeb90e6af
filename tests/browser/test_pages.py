"""P29, P30: every page of the admin is readable by everybody, in light and dark, desk and phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.browser.desk import Desk
from tests.factories.delivery import make_delivery
from tests.factories.school import make_school

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
APPS = sorted({model._meta.app_label for model in admin.site._registry})


def pages(app: str) -> dict[str, str]:
    """The list of each model of an app, and one of its rows, by name."""
    found = {}
    for model in admin.site._registry:
        meta = model._meta
        if meta.app_label == app:
            name = f"admin:{app}_{meta.model_name}"
            found[f"{meta.model_name}-list"] = reverse(f"{name}_changelist")
            if (row := model._default_manager.order_by("-pk").first()) is not None:
                found[f"{meta.model_name}"] = reverse(f"{name}_change", args=[row.pk])
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("app", APPS)
def test_every_page_of_an_app_is_for_everybody(app: str, desk_of: Callable[[str], Desk]) -> None:
    make_school()
    make_delivery()
    desk = desk_of("admin")
    problems = []

    for name, path in pages(app).items():
        desk.open(path)
        problems += desk.problems(f"{app}-{name}")

    assert problems == [], "\n".join(problems)


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_the_first_page_is_for_everybody(filled: bool, desk_of: Callable[[str], Desk]) -> None:
    if filled:
        make_school()
    desk = desk_of("viewer")

    desk.open(reverse("admin:index"))

    desk.check(f"index-{'filled' if filled else 'empty'}")
