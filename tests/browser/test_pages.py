"""P29, P30: every page of the admin is readable by everybody, in light and dark, desk and phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.browser.desk import Desk
from tests.factories.everything import make_everything
from tests.factories.school import make_school

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
APPS = ("attendance", "delivery", "nurture")


def pages(app: str) -> dict[str, str]:
    """The list of each model of an app, and its newest row, by name; `""`: all other apps."""
    found = {}
    for model in admin.site._registry:
        meta = model._meta
        if meta.app_label == app or not (app or meta.app_label in APPS):
            name = f"{meta.app_label}_{meta.model_name}"
            row = model._default_manager.order_by("-pk").first()
            assert row is not None, f"make_everything makes no {model.__name__}"
            found[f"{name}-list"] = reverse(f"admin:{name}_changelist")
            found[name] = reverse(f"admin:{name}_change", args=[row.pk])
    return found


@pytest.mark.timeout(600)
@pytest.mark.parametrize("app", [*APPS, ""], ids=[*APPS, "others"])
def test_every_page_of_an_app_is_for_everybody(app: str, desk_of: Callable[[str], Desk]) -> None:
    make_everything()
    desk = desk_of("admin")
    problems = []

    for name, path in pages(app).items():
        desk.open(path)
        problems += desk.problems(name)

    assert problems == [], "\n".join(problems)


@pytest.mark.parametrize("filled", [True, False], ids=["filled", "empty"])
def test_the_first_page_is_for_everybody(filled: bool, desk_of: Callable[[str], Desk]) -> None:
    if filled:
        make_school()
    desk = desk_of("viewer")

    desk.open(reverse("admin:index"))

    desk.check(f"index-{'filled' if filled else 'empty'}")
