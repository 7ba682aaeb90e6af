"""The overview and the rollout page as staff use them (P20, P29, P30)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse

from delivery import clock, services
from delivery.models import Gate, Process
from nurture import flags
from tests.browser.desk import Desk
from tests.factories.delivery import make_delivery
from tests.factories.nurture import make_contact, make_sequence, settle
from tests.factories.school import make_school

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
INDEX, ROLLOUT = reverse("admin:index"), reverse("rollout")
PART = "[data-live]"


def a_busy_day() -> None:
    """Something of everything."""
    make_school()
    for status, reason, times in (
        ("sent", "", 30), ("failed", "chat_blocked", 2), ("unknown", "no_answer", 1),
        ("cancelled", "withdrawn", 6), ("expired", "expired", 3),
    ):  # fmt: skip
        for _ in range(times):
            settle(make_delivery(), at=clock.now(), status=status, reason=reason)
    services.close_gate(key="stream:missed-class", reason="paused by staff", by="ann")
    services.beat(Process.CLOCK)


def test_the_overview_refreshes_itself_without_disturbing_who_reads(
    desk_of: Callable[[str], Desk],
) -> None:
    a_busy_day()
    desk = desk_of("viewer")
    page = desk.open(INDEX)
    desk.check("overview")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.click(f"{PART} .tb-chart summary")
    page.focus(f"{PART} a.tb-card >> nth=2")
    place = page.evaluate("scrollY")
    services.close_gate(key="bot:breaker", reason="Telegram is silent", by="sender")
    refresh(desk)

    assert "bot:breaker is closed: Telegram is silent." in page.inner_text(PART)
    assert page.evaluate("document.querySelector('.tb-chart details').open")
    assert page.evaluate("document.activeElement.matches('a.tb-card')")
    assert page.evaluate("scrollY") == place
    assert page.locator(f"{PART}[aria-live], {PART} [aria-live], {PART} [role=status]").count() == 0

    page.keyboard.press("?")
    assert "Refresh by itself, or not" in page.inner_text("#tb-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    assert page.get_attribute("[data-live-pause]", "aria-pressed") == "true"
    assert "Paused" in page.inner_text("[data-live-state]")
    desk.open(INDEX)
    assert "Paused" in page.inner_text("[data-live-state]")  # it stays so


def refresh(desk: Desk) -> None:
    """Let a quarter of a minute pass: what the timer does, the button's second press does too."""
    desk.page.evaluate(
        """() => new Promise(done => {
            document.querySelector("[data-live]").addEventListener("refreshed", done, {once: true});
            const key = () => document.activeElement.dispatchEvent(
                new KeyboardEvent("keydown", {key: "r", bubbles: true}));
            key(); key();
        })"""
    )


def test_the_first_day_shows_what_is_to_be_set_up(desk_of: Callable[[str], Desk]) -> None:
    desk = desk_of("operator")

    page = desk.open(INDEX)

    assert "Set up: 0 of" in page.inner_text(PART)
    desk.check("overview-first-day")


def test_an_operator_raises_the_share_and_stops_everything(
    desk_of: Callable[[str], Desk],
) -> None:
    """From the sidebar to the gate, with the effect before each step."""
    make_sequence()
    for number in range(30):
        make_contact(name=f"Learner {number}")
    flags.set_nurture(percent=25)
    make_delivery()
    desk = desk_of("operator")
    page = desk.open(INDEX)
    page.click("nav >> text=Rollout")
    page.wait_for_url(f"**{ROLLOUT}")
    desk.check("rollout")
    page.set_viewport_size({"width": 1440, "height": 900})

    page.fill("#to", "50")
    page.click("text=See what changes")
    page.wait_for_selector("text=more learners")
    desk.check("rollout-confirm")
    page.click("text=Yes, 25% → 50%")
    page.wait_for_selector("text=nurture: 25% → 50%.")
    page.click("text=Stop all sending")
    page.wait_for_selector("text=What is due waits")
    desk.check("rollout-kill")
    page.click("text=Yes, on → off")
    page.wait_for_selector("text=deliver: on → off.")
    desk.check("rollout-stopped")
    page.set_viewport_size({"width": 1440, "height": 900})

    assert flags.rollout_percent() == 50
    assert Gate.objects.get(key="bot:switch").closed_by == "operator"
    page.click("nav >> text=Overview")
    page.wait_for_selector("text=bot:switch is closed")
