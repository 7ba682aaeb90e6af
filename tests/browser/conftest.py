"""Members of staff at a browser, one server and one browser for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from playwright.sync_api import Browser

from nurture.services.roles import set_up_roles
from tests.browser.desk import Desk


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
        cookies = {"sessionid": key, "telbot_zone": "Europe/Berlin"}  # as the login leaves them
        context.add_cookies(
            [
                {"name": name, "value": said, "url": live_server.url}
                for name, said in cookies.items()
            ]
        )
        return Desk(context, live_server.url)

    yield make
    for context in contexts:
        context.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A thread of the live server that ends leaves its connection to the garbage collector."""
    said = "ignore:Exception ignored in.*BaseConnection:pytest.PytestUnraisableExceptionWarning"
    for item in items:
        if "browser" in item.path.parts:
            item.add_marker(pytest.mark.filterwarnings(said))
