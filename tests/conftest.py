"""What every test stands on: real servers, no network, no left-overs between tests."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip

# A machine that stands still for a moment is no fault of what is tested.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: What a machine plays by itself: hundreds of stories in the check, thousands in `make stories`.
settings.register_profile("long", parent=settings.get_profile("calm"))
settings.load_profile("calm")


def pytest_configure() -> None:
    """What is imported and collected lasts as long as the run: no search for garbage finds any."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From here on garbage is looked for, in what tests leave behind."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Start the embedded servers before pytest-django makes its test database."""
    from django.conf import settings

    from config import embedded

    if settings.USES_EMBEDDED_SERVERS:
        embedded.ensure(settings.LOCAL_DIR)
    gc.disable()  # migrations leave one large heap of cycles: a third of the time


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Roles and our own permissions are there: a test that empties the tables takes them along,
    and the next run finds the same database."""
    from django.test import TransactionTestCase

    from nurture.services.roles import set_up_roles
    from tests.emptying import empty_tables

    gc.enable()
    TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[attr-defined]
    with django_db_blocker.unblock():
        set_up_roles()


@pytest.fixture(autouse=True)
def _fresh_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget cached flags, and calls that failed, after each test that could have had any."""
    yield
    marked = request.node.get_closest_marker("django_db")
    if marked or {"db", "transactional_db"} & set(request.fixturenames):
        from django.core.cache import cache

        from delivery import consequences

        cache.clear()
        consequences.failures.clear()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Playwright leaves an event loop in this thread, which Django would refuse
    to read rows beside; nothing here is asynchronous."""
    from playwright.sync_api import sync_playwright

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]
