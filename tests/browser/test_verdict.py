"""The page "Go or no go" as staff see it (S18)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse

from delivery import clock
from nurture.models import StaffTask
from tests.browser.desk import Desk
from tests.factories.week import make_week

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
INDEX, PAGE = reverse("admin:index"), reverse("go_no_go")


def test_what_fails_stands_above_what_is_not_known_and_what_passes(
    desk_of: Callable[[str], Desk],
) -> None:
    now = clock.now()
    make_week(now=now)
    task = {"kind": "false_activation", "key": "1", "note": "Wrong.", "created_at": now}
    StaffTask.objects.create(**task)
    desk = desk_of("viewer")
    page = desk.open(INDEX)
    page.click("nav >> text=Go or no go")
    page.wait_for_url(f"**{PAGE}")
    desk.check("go-no-go")

    assert "No go: what fails has to be mended first." in page.inner_text(".tb-page")
    verdicts = page.locator(".tb-table tbody .tb-pill").all_inner_texts()
    assert verdicts == sorted(verdicts, key=["fail", "not yet", "pass"].index)
    assert page.locator("tbody tr", has_text="False activations").count() == 1
    assert page.locator("text=Ask Telegram").count() == 0
