"""What every test stands on: real servers, no network, no left-overs between tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before Django reads its settings: a test run has a world of its own and knows nothing of .env.
os.environ.setdefault("LOCAL_DIR", str(Path(__file__).resolve().parent.parent / ".local" / "test"))
for _name in ("BOT_TOKEN", "GOOGLE_SERVICE_ACCOUNT_JSON", "GOOGLE_API_URL", "GOOGLE_CALENDAR_IDS"):
    os.environ[_name] = ""
os.environ["PTB_TIMEDELTA"] = "1"


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Start the embedded servers before pytest-django makes its test database."""
    from django.conf import settings

    from config import embedded

    if settings.USES_EMBEDDED_SERVERS:
        embedded.ensure(settings.LOCAL_DIR)


@pytest.fixture(autouse=True)
def _fresh_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget cached flags after each test that could have set one."""
    yield
    if {"db", "transactional_db"} & set(request.fixturenames):
        from django.core.cache import cache

        cache.clear()
