"""The console in a real browser: readable in light and dark, on a desk and on a phone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import BrowserContext, Page, sync_playwright

from attendance import services
from attendance.models import AuditPair, ClassSession, Learner, ReviewItem
from delivery import clock
from delivery.models import Delivery
from nurture.models import Journey, Sequence
from tests.factories.classes import judge, make_class, make_course, outcome_of, stay
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle
from tests.factories.school import make_school

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip
WIDTHS = {"desk": 1440, "phone": 390}


@pytest.fixture
def session_key(client: Client) -> str:
    """A member of staff who may do everything is logged in."""
    client.force_login(User.objects.create_superuser("boss", password="x"))
    return client.cookies["sessionid"].value


@contextmanager
def browser(url: str, session_key: str, **options: Any) -> Iterator[BrowserContext]:
    """A browser of its own. No row may be read while it is open: it brings an event loop."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        context = chromium.new_context(**options)
        context.add_cookies([{"name": "sessionid", "value": session_key, "url": url}])
        yield context
        chromium.close()


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    """A page, and what went wrong in its scripts."""
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda answer: errors.append(answer.url) if answer.status >= 400 else None)
    return page, errors


def screens() -> dict[str, str]:
    """The pages staff live in, by name."""
    found = {
        "learner": Learner.objects.filter(journeys__isnull=False).first(),
        "class": ClassSession.objects.filter(status="settled").order_by("-starts_at").first(),
        "sequence": Sequence.objects.first(),
        "version": Sequence.objects.get().published_version,
        "journey": Journey.objects.order_by("-pk").first(),
        "delivery": Delivery.objects.order_by("-pk").first(),
    }
    pages = {"index": reverse("admin:index")}
    for name, row in found.items():
        assert row is not None, name
        meta = row._meta
        model = f"admin:{meta.app_label}_{meta.model_name}"
        pages[f"{name}-list"] = reverse(f"{model}_changelist")
        pages[name] = reverse(f"{model}_change", args=[row.pk])
    return pages


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_every_screen_fits_and_runs_without_errors(
    live_server: Any, session_key: str, tmp_path: Path, width: str, scheme: str
) -> None:
    make_school()
    pages = screens()
    size = {"width": WIDTHS[width], "height": 900}

    with browser(live_server.url, session_key, viewport=size, color_scheme=scheme) as context:
        page, errors = watched(context)
        for name, path in pages.items():
            page.goto(live_server.url + path)
            page.wait_for_load_state("load")
            page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
            sideways = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert sideways <= 0, f"{name} scrolls sideways by {sideways} px"

    assert errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_guest_is_named_with_two_keys(
    live_server: Any, session_key: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The effect is on the page before Enter confirms it."""
    course, (rosa, amir) = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=amir.email)
    stay(session, name="Rosa Maro", end=55)
    now = judge(session)
    monkeypatch.setattr("attendance.admin.review.timezone", SimpleNamespace(now=lambda: now))
    item = ReviewItem.objects.get(kind="guest")
    url = live_server.url + reverse("admin:attendance_reviewitem_change", args=[item.pk])

    with browser(live_server.url, session_key, color_scheme=scheme) as context:
        page, errors = watched(context)
        page.goto(url)
        page.keyboard.press("1")
        page.wait_for_selector("#confirm:focus")
        effect = page.inner_text("#content")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=One outcome changed.")

    assert "pending → attended" in effect
    assert [url for url in errors if "favicon" not in url] == []
    assert outcome_of(rosa, session).outcome == "attended"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_outcome_of_the_audit_is_judged_with_one_click(
    live_server: Any, session_key: str, scheme: str, tmp_path: Path
) -> None:
    course, people = make_course("Rosa Maro", "Amir Lindt")
    session = make_class(course)
    stay(session, email=people[1].email)
    judge(session)
    assert services.draw_audit(now=session.ends_at + timedelta(days=7)) == 2
    pair = AuditPair.objects.get(outcome__outcome="missed")
    to = reverse("admin:attendance_auditpair_judge", args=[pair.pk])
    url = live_server.url + reverse("admin:attendance_auditpair_changelist")

    with browser(live_server.url, session_key, color_scheme=scheme) as context:
        page, errors = watched(context)
        page.goto(url)
        page.screenshot(path=tmp_path / f"audit-{scheme}.png", full_page=True)
        page.click(f'button[formaction="{to}"][value="late"]')
        page.wait_for_selector("text=Noted.")

    pair.refresh_from_db()
    assert (pair.verdict, pair.truth, pair.decided_by) == ("wrong", "late", "boss")
    assert [url for url in errors if "favicon" not in url] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_staff_send_again_what_is_in_doubt_after_a_look(
    live_server: Any, session_key: str, scheme: str, tmp_path: Path
) -> None:
    """P15: which go, and why the others do not, is on the page before anything is done."""
    doubtful, sent = make_delivery(text="Where were you?"), make_delivery()
    settle(doubtful, at=clock.now(), status="unknown", reason="no_answer")
    settle(sent, at=clock.now())
    url = live_server.url + reverse("admin:delivery_delivery_changelist")

    with browser(live_server.url, session_key, color_scheme=scheme) as context:
        page, errors = watched(context)
        page.goto(url)
        page.check(f'input[name="_selected_action"][value="{doubtful.pk}"]')
        page.check(f'input[name="_selected_action"][value="{sent.pk}"]')
        page.select_option('select[name="action"]', "again")
        page.keyboard.press("Escape")
        page.click('button[name="index"]')
        page.wait_for_selector("text=Send 1 of 2 again?")
        page.screenshot(path=tmp_path / f"again-{scheme}.png", full_page=True)
        seen = page.inner_text("#content")
        page.click("text=Send 1 again")
        page.wait_for_selector("text=1 will be sent again.")

    assert "It is neither unknown nor given up." in seen
    assert [url for url in errors if "favicon" not in url] == []
    doubtful.refresh_from_db()
    assert doubtful.status == "pending"
