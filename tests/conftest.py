"""What every test stands on: real servers, no network, no left-overs between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

#: What a machine plays by itself: hundreds of stories in the check, thousands in `make stories`.
settings.register_profile("long")


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
