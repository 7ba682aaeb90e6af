"""What the pages of the admin cost among 1,000,000 deliveries, beside 1,000.

`make bench-admin`, or `SHORT=1 make bench-admin`: a twentieth of it. Prints a table and one JSON
object as the last line. It fails where a page does not answer or asks too often, never for a time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import reverse  # noqa: E402

from attendance.models import Learner  # noqa: E402
from tests.bench.crowds import LARGE, ROSA, SMALL, Crowd, fill  # noqa: E402
from tests.bench.report import Figures, expect  # noqa: E402
from tests.bench.worlds import own_database  # noqa: E402

MOST_QUERIES, MOST_MS, MOST_RATIO = 15, 400, 2
#: Pages of one row that gather evidence from everywhere; no list and none of many rows.
ASKS_MORE = {"attendance.outcome", "nurture.sequence"}
#: Lists as staff narrow them: search, filters.
NARROWED = {
    "learners: rosa": "admin:attendance_learner_changelist ?q=rosa",
    "learners: an address": "admin:attendance_learner_changelist ?q=l1@crowd.example",
    "journeys: rosa maro": "admin:nurture_journey_changelist ?q=rosa+maro",
    "journeys: active": "admin:nurture_journey_changelist ?status__exact=active",
    "journeys: paused": "admin:nurture_journey_changelist ?status__exact=paused",
    "journeys: page 15": "admin:nurture_journey_changelist ?p=15",
    "decisions: an address": "admin:nurture_decision_changelist ?q=l1@crowd.example",
    "deliveries: rosa": "admin:delivery_delivery_changelist ?q=rosa",
    "deliveries: an address": "admin:delivery_delivery_changelist ?q=l1@crowd.example",
    "deliveries: sent": "admin:delivery_delivery_changelist ?status__exact=sent",
    "deliveries: pending": "admin:delivery_delivery_changelist ?status__exact=pending",
    "deliveries: failed": "admin:delivery_delivery_changelist ?status__exact=failed",
    "deliveries: on the wire": "admin:delivery_delivery_changelist ?status__exact=sending",
    "deliveries: tests": "admin:delivery_delivery_changelist ?apart=test",
    "deliveries: of March": "admin:delivery_delivery_changelist"
    " ?due_at_from_0=2026-03-01&due_at_to_0=2026-03-31",
    "journeys: of March": "admin:nurture_journey_changelist"
    " ?started_at_from_0=2026-03-01&started_at_to_0=2026-03-31",
    "decisions: of March": "admin:nurture_decision_changelist"
    " ?decided_at_from_0=2026-03-01&decided_at_to_0=2026-03-31",
}


def pages() -> dict[str, str]:
    """Every list of the admin, a row of each, the first page, the learner's; by name."""
    found = {"first page": reverse("admin:index")}
    for model in admin.site._registry:
        meta = model._meta
        name = f"admin:{meta.app_label}_{meta.model_name}"
        found[f"{meta.label_lower} list"] = reverse(f"{name}_changelist")
        row = model._default_manager.order_by("-pk").first()
        if row is not None:
            found[f"{meta.label_lower}"] = reverse(f"{name}_change", args=[row.pk])
    rosa = Learner.objects.get(email=ROSA)
    found["learner with 500"] = reverse("admin:attendance_learner_change", args=[rosa.pk])
    for name, address in NARROWED.items():
        view, query = address.split()
        found[name] = reverse(view) + query
    return found


def measured(crowd: Crowd, *, rounds: int) -> dict[str, tuple[int, float]]:
    """(queries, median ms) of every page in such a world."""
    with own_database():
        began = time.perf_counter()
        fill(crowd)
        sys.stdout.write(
            f"  a world of {crowd.deliveries:,}: {time.perf_counter() - began:.0f} s\n"
        )
        with somebody() as client:
            return {name: _page(client, url, rounds) for name, url in pages().items()}


@contextmanager
def somebody() -> Iterator[Client]:
    """A member of staff who may do everything, logged in."""
    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    yield client


def _page(client: Client, url: str, rounds: int) -> tuple[int, float]:
    with CaptureQueriesContext(connection) as seen:  # this one compiles templates, too
        expect(url, client.get(url).status_code, 200)
    queries, took = len(seen), []
    for _ in range(rounds):
        began = time.perf_counter()
        client.get(url)
        took.append((time.perf_counter() - began) * 1000)
    return queries, statistics.median(took)


def asks_often(queries: dict[str, int]) -> dict[str, int]:
    """Of pages with so many queries, those that have too many."""
    return {name: n for name, n in queries.items() if n > MOST_QUERIES and name not in ASKS_MORE}


def main() -> None:
    """Measure in a small and in a large world, and print both."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a twentieth, fewer rounds")
    short = parser.parse_args().short
    rounds = 1 if short else 5
    few = measured(SMALL, rounds=rounds)
    many = measured(LARGE.part(20) if short else LARGE, rounds=rounds)
    sys.stdout.write(f"  {'page':<44}{'queries':>8}{'few, ms':>10}{'many, ms':>10}{'ratio':>8}\n")
    figures: dict[str, Figures] = {}
    for name, (queries, ms) in many.items():
        beside = few[name][1] if name in few else ms
        said = f"  {name:<44}{queries:>8}{beside:>10.0f}{ms:>10.0f}{ms / beside:>8.1f}"
        sys.stdout.write(f"{said}{'  !' if ms > MOST_MS or ms > MOST_RATIO * beside else ''}\n")
        figures[name] = {"queries": queries, "few_ms": beside, "ms": ms, "ratio": ms / beside}
    sys.stdout.write(f"  aimed at: {MOST_QUERIES} queries, {MOST_MS} ms, ratio {MOST_RATIO}\n")
    sys.stdout.write(json.dumps({"short": short, "pages": figures}) + "\n")
    expect(
        "pages with too many queries", asks_often({name: n for name, (n, _) in many.items()}), {}
    )


if __name__ == "__main__":
    main()
