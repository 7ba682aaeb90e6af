"""What staff and learners do in the very moment in which a message goes out (promises 2 to 4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, connections

from delivery import postgres, services
from delivery.models import Delivery
from tests.factories.delivery import make_delivery
from tests.integration.delivery.test_core_services import put

pytestmark = pytest.mark.django_db(transaction=True)

_WAITS = """
SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


@contextmanager
def committing(statement: str, *values: object) -> Iterator[Any]:
    """Another worker's change of a row; it is committed as soon as somebody waits for it."""
    with psycopg.connect(**postgres.parameters()) as other:
        other.execute(statement, values)

        def commit() -> None:
            with psycopg.connect(**postgres.parameters(), autocommit=True) as watch:
                while not watch.execute(_WAITS).fetchone()[0]:  # type: ignore[index]
                    pass
            other.commit()

        watcher = threading.Thread(target=commit, daemon=True)
        watcher.start()
        yield other
        watcher.join(20)
        assert not watcher.is_alive()


def test_what_is_withdrawn_while_its_intent_is_committed_is_not_tried_again() -> None:
    """Not accepted (a 429, a refused connection), it would go out later, corrected or not."""
    row = make_delivery()
    put(row, "leased")

    with committing(
        "UPDATE nurture_deliveries SET status = 'sending', intent_at = now() WHERE id = %s", row.pk
    ):
        assert services.cancel(dedupe_keys=[row.dedupe_key], reason="corrected") == 0

    row.refresh_from_db()
    assert (row.status, row.withdrawal) == ("sending", "corrected")
