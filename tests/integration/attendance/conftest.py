"""A school on loopback: its people are enrolled, its newest class has just been settled at NOW."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from attendance import services
from attendance.google import Google
from attendance.sandbox import FakeGoogle, World, build_world, serve, service_account_key

NOW = datetime(2026, 6, 2, 20, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    """A cohort whose newest class has just been settled at NOW, enrolled."""
    made = build_world(now=NOW, weeks=2, learners=12, seed=5)
    for row in made.learners:
        services.upsert_learner(
            email=row.email, name=row.name, calendar_ids=row.courses, now=NOW - timedelta(days=30)
        )
    return made


@pytest.fixture
def fake(world: World) -> FakeGoogle:
    return world.google()


@pytest.fixture
def google(fake: FakeGoogle) -> Iterator[Google]:
    with serve(fake) as url:
        key = service_account_key(f"{url}/token")
        yield Google(key=key, delegated_user="a@school.example", api_url=url, retries=0)
