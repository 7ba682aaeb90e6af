"""One server and one browser for all tests in a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Browser, sync_playwright

from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Playwright leaves an event loop in this thread, which Django would refuse
    to read rows beside; nothing here is asynchronous."""
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture
def desk_of(chromium: Browser, live_server: Any) -> Iterator[Callable[[str], Desk]]:
    """`desk_of("operator")`: a browser in which a member of staff with that role is logged in."""
    contexts = []

    def make(role: str) -> Desk:
        set_up_roles()
        user, _ = User.objects.get_or_create(
            username=role, defaults={"is_staff": True, "first_name": role.capitalize()}
        )
        user.groups.set([Group.objects.get(name=role)])
        client = Client()
        client.force_login(user)
        context = chromium.new_context(timezone_id="Europe/Berlin")
        contexts.append(context)
        key = client.cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": key, "url": live_server.url}])
        return Desk(context, live_server.url)

    yield make
    for context in contexts:
        context.close()
