"""What every test stands on: real servers, no network, no left-overs between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

#: Before each commit: fewer examples where one test takes thousands.
settings.register_profile("quick")


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """Start the embedded servers before pytest-django makes its test database."""
    from django.conf import settings

    from config import embedded

    if settings.USES_EMBEDDED_SERVERS:
        embedded.ensure(settings.LOCAL_DIR)


@pytest.fixture(autouse=True)
def _fresh_cache(request: pytest.FixtureRequest) -> Iterator[None]:
    """Forget cached flags, and calls that failed, after each test that could have had any."""
    yield
    if {"db", "transactional_db"} & set(request.fixturenames):
        from django.core.cache import cache

        from delivery import sender

        cache.clear()
        sender.failures.clear()
