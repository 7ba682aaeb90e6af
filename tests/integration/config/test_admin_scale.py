"""No page of the admin reads a large table through, however many rows it has (P26).

In a world of 25,000 deliveries each query of each page is explained as PostgreSQL would run it.
`make bench-admin` has the times, with a million.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.bench.admin import asks_often, pages
from tests.bench.crowds import LARGE, fill

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(300)]
COUNTS_NO_FURTHER = ("LIMIT 1001) subquery", "LIMIT 10001) subquery")
TOO_LARGE = {
    "nurture_deliveries", "delivery_attempt", "user_nurture_journeys", "nurture_decision",
    "attendance_outcome", "attendance_endpoint",
}  # fmt: skip


def read_through(plan: dict[str, Any]) -> Iterator[str]:
    """The tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from read_through(part)


def plan_of(sql: str) -> dict[str, Any]:
    """How PostgreSQL would run a query."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plans: list[dict[str, Any]] = json.loads(found) if isinstance(found, str) else found
    return plans[0]["Plan"]  # type: ignore[no-any-return]


def test_no_page_reads_a_large_table_through_or_asks_too_often() -> None:
    fill(LARGE.part(40))
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    through, queries, explained = set(), {}, 0

    client.get(reverse("admin:index"))  # notes flags and full hours that nobody had asked for

    for name, url in pages().items():
        with CaptureQueriesContext(connection) as seen:
            assert client.get(url).status_code == 200, url
        queries[name] = len(seen)
        for sql in {row["sql"] for row in seen if row["sql"].lstrip("( ").startswith("SELECT")}:
            if sql.endswith(COUNTS_NO_FURTHER):
                continue  # of a table that is hardly longer, reading it through may be best
            explained += 1
            for table in TOO_LARGE & set(read_through(plan_of(sql))):
                through.add(f"{name}: {table}: {sql}")

    assert "Seq Scan" in json.dumps(plan_of("SELECT text FROM nurture_deliveries"))  # it would show
    assert explained > 300
    assert sorted(through) == [], "\n".join(sorted(through))
    assert asks_often(queries) == {}
