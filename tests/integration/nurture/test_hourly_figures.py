"""Hours that are over are counted once; a trend reads the counts, and only the rest by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from delivery import selectors
from delivery.models import Delivery
from nurture.domain import figures as rules
from nurture.services import figures
from tests.factories.delivery import make_delivery
from tests.factories.nurture import settle

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 3, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Copies of one row.
MANY = """
INSERT INTO nurture_deliveries (
    chat_id, stream, lane, priority, category, dedupe_key, text, buttons, status, reason, due_at,
    run_at, window_days, window_zone, leased_by, fence, withdrawal, attempts, deaths, last_error,
    is_test, diverted, created_at, sent_at, settled_at)
SELECT chat_id, stream, lane, priority, category, 'many:' || g, text, buttons, status, reason,
       due_at, run_at, window_days, window_zone, leased_by, fence, withdrawal, attempts, deaths,
       last_error, is_test, diverted, created_at, sent_at, settled_at - g * interval '1 minute'
  FROM nurture_deliveries CROSS JOIN generate_series(1, 20000) g
"""


def end(at: datetime, status: str = "sent", reason: str = "") -> Delivery:
    """A delivery that came to its end at a moment."""
    row = make_delivery(due_at=at)
    settle(row, at=at, status=status, reason=reason)
    return row


def by_day(zone: str = "UTC", now: datetime = NOW) -> dict[str, dict[str, int]]:
    """What the overview would show, without days of nothing."""
    days = figures.days(now=now, zone=zone)
    return {day.day.isoformat(): dict(day.counts) for day in days if day.counts}


def test_counted_or_not_the_figures_are_the_same() -> None:
    for hours in (0, 1, 2, 3, 26, 50, 200):
        end(NOW - hours * HOUR)
    end(NOW - 3 * HOUR, "failed", "chat_blocked")
    end(NOW - 4 * HOUR, "failed", "content_refused")
    before = by_day()

    assert figures.hours_are_due(now=NOW)
    assert figures.count_hours(now=NOW) > 0
    assert not figures.hours_are_due(now=NOW)
    assert figures.count_hours(now=NOW) == 0
    assert before == by_day()
    assert before["2026-03-03"] == {"sent": 4, "refused": 1, "failed": 1}

    end(NOW + HOUR)
    assert by_day(now=NOW + 2 * HOUR)["2026-03-03"]["sent"] == 5
    assert figures.count_hours(now=NOW + 2 * HOUR) == 26  # the new ones, and the day before them
    assert by_day(now=NOW + 2 * HOUR)["2026-03-03"]["sent"] == 5


def test_an_hour_that_has_just_ended_waits_for_what_is_under_way() -> None:
    figures.count_hours(now=NOW)

    assert not figures.hours_are_due(now=NOW.replace(hour=13, minute=4))
    assert figures.hours_are_due(now=NOW.replace(hour=13, minute=5))


def test_what_became_known_within_a_day_is_counted_anew() -> None:
    row = end(NOW - 3 * HOUR, "unknown", "no_answer")
    figures.count_hours(now=NOW)
    assert by_day()["2026-03-03"] == {"unknown": 1}

    Delivery.objects.filter(pk=row.pk).update(status="sent", reason="", sent_at=NOW)
    figures.count_hours(now=NOW + HOUR)

    assert by_day(now=NOW + HOUR)["2026-03-03"] == {"sent": 1}


def test_what_is_counted_stays_when_its_rows_are_gone() -> None:
    row = end(NOW - 30 * HOUR)
    figures.count_hours(now=NOW)

    row.delete()
    figures.count_hours(now=NOW + HOUR)

    assert by_day() == {"2026-03-02": {"sent": 1}}


def test_days_are_those_of_whoever_looks() -> None:
    end(datetime(2026, 3, 2, 23, 30, tzinfo=UTC))
    figures.count_hours(now=NOW)

    assert list(by_day("Europe/Berlin")) == ["2026-03-03"]
    assert list(by_day("America/Bogota")) == ["2026-03-02"]


def test_every_name_that_is_counted_is_known() -> None:
    """A typing error in a name would silently count nothing."""
    statuses = {value for value, _ in Delivery._meta.get_field("status").choices or ()}
    names = {"sent", "unknown", "failed", "dead", "expired", "cancelled", "skipped"}

    assert names <= statuses
    assert {rules.name_of(name, "") for name in names} == names


def plan_of(statement: str, values: dict[str, Any]) -> str:
    """How PostgreSQL would go about it."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {statement}", values)
        return "\n".join(row[0] for row in cursor.fetchall())


def test_no_figure_scans_the_deliveries() -> None:
    """However many there are: 20,000 here, and statistics that say so."""
    end(NOW)
    with connection.cursor() as cursor:
        cursor.execute(MANY)
        cursor.execute("ANALYZE nurture_deliveries")
    hours = {"since": NOW - 2 * HOUR, "until": NOW}
    values = hours | {"names": ["clock"]}

    for statement in (selectors._BY_HOUR, selectors._QUEUES, selectors._STANDING):
        assert "Seq Scan on nurture_deliveries" not in plan_of(statement, values)
    assert sum(count for _, _, _, count in selectors.by_hour(**hours)) == 120
