"""On whose clock a page shows its times, from the first on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext

from delivery import clock
from delivery.services.installation import arm, remember_bot
from nurture.models import LinkToken
from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk
from tests.factories import nurture as make

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CLOCK = ".tb-clock"


@pytest.fixture
def bogota(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser in Bogotá that was never here."""
    context = chromium.new_context(timezone_id="America/Bogota")
    yield context
    context.close()


def test_the_first_page_after_the_login_is_on_the_readers_clock(
    bogota: BrowserContext, live_server: Any
) -> None:
    contact = make.make_contact()
    set_up_roles()
    ann = User.objects.create_user("ann", password="a long password", is_staff=True)
    ann.groups.add(Group.objects.get(name="viewer"))
    asked_for: list[str] = []
    page = bogota.new_page()
    page.on("request", lambda sent: asked_for.append(sent.url))
    learner = reverse("admin:attendance_learner_change", args=[contact.learner_id])

    page.goto(live_server.url + learner)
    page.fill("#id_username", "ann")
    page.fill("#id_password", "a long password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{learner}")
    page.wait_for_load_state("load")

    assert page.inner_text(CLOCK) == "Bogota time"
    assert "12:00 Bogota" in page.inner_text("#content")
    assert asked_for.count(live_server.url + learner) == 2  # before the login, and after it


def test_a_page_without_a_zone_is_asked_for_again_but_no_form_is_sent_twice(
    desk_of: Callable[[str], Desk],
) -> None:
    contact = make.make_contact(linked=False)
    arm(now=clock.now())
    remember_bot(username="t_bot")
    desk = desk_of("operator")
    desk.page.context.clear_cookies(name="telbot_zone")

    page = desk.open(reverse("admin:attendance_learner_change", args=[contact.learner_id]))
    page.wait_for_selector("text=Berlin time")
    assert "18:00 CET" in page.inner_text("#content")
    page.context.clear_cookies(name="telbot_zone")
    page.click("text=Make an invitation link")
    page.wait_for_selector("text=An invitation for")
    page.wait_for_load_state("load")

    assert page.inner_text(CLOCK) == "UTC time"  # it says so, and stays
    assert page.input_value("#link").startswith("https://t.me/t_bot?start=")
    assert LinkToken.objects.count() == 1
