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
from dataclasses import dataclass
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.urls import reverse  # noqa: E402

from attendance.models import Learner  # noqa: E402
from tests.bench.crowds import LARGE, ROSA, SMALL, Crowd, fill  # noqa: E402
from tests.bench.report import Figures, expect  # noqa: E402
from tests.bench.worlds import copied, own_database, working_on  # noqa: E402

MOST_QUERIES, MOST_MS, MOST_RATIO = 15, 400, 2
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


@dataclass(frozen=True)
class World:
    """A database with a crowd in it, and somebody who looks at its pages."""

    connection: Any
    client: Client
    pages: dict[str, str]

    def open(self, name: str) -> tuple[float, float, int]:
        """Milliseconds, those of our own CPU, and queries; it fails where it does not answer."""
        with working_on(self.connection), CaptureQueriesContext(self.connection) as seen:
            began, worked = time.perf_counter(), time.process_time()
            answer = self.client.get(self.pages[name])
            took, cpu = time.perf_counter() - began, time.process_time() - worked
            expect(name, answer.status_code, 200)
            return took * 1000, cpu * 1000, len(seen)


def made(crowd: Crowd, database: Any) -> World:
    """Fill an empty database; log in somebody who may do everything."""
    with working_on(database):
        began = time.perf_counter()
        fill(crowd)
        took = time.perf_counter() - began
        sys.stdout.write(f"  a world of {crowd.deliveries:,} deliveries: {took:.0f} s\n")
        client = Client()
        client.force_login(User.objects.create_superuser("bench"))
        return World(database, client, pages())


def measured(crowd: Crowd, *, rounds: int) -> Iterator[tuple[str, Figures]]:
    """Each page with its figures: medians of rounds by turns in a small world and in this one."""
    with own_database(), copied("few") as other:
        few, many = made(SMALL, other), made(crowd, connections["default"])
        for name in many.pages:
            beside = few if name in few.pages else many
            beside.open(name), many.open(name)  # compiles templates, notes what nobody had asked
            turns = [(beside.open(name), many.open(name)) for _ in range(rounds)]
            queries = max(turn[1][2] for turn in turns)
            ms = statistics.median(turn[1][0] for turn in turns)
            few_ms = statistics.median(turn[0][0] for turn in turns)
            cpu_ms = statistics.median(turn[1][1] for turn in turns)
            yield name, {
                "queries": queries, "few_ms": few_ms, "ms": ms, "cpu_ms": cpu_ms,
                "ratio": ms / few_ms,
            }  # fmt: skip


def asks_often(queries: dict[str, int]) -> dict[str, int]:
    """Of pages with so many queries, those that have too many."""
    return {name: n for name, n in queries.items() if n > MOST_QUERIES}


def main() -> None:
    """Measure in a small and in a large world, and print both."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a twentieth, fewer rounds")
    short = parser.parse_args().short
    rounds = 1 if short else 3
    figures: dict[str, Figures] = {}
    head = f"{'page':<40}{'queries':>8}{'few, ms':>9}{'many, ms':>9}{'own CPU':>9}{'ratio':>7}"
    for name, found in measured(LARGE.part(20) if short else LARGE, rounds=rounds):
        if not figures:
            sys.stdout.write(f"  {head}\n")
        figures[name] = found
        beyond = found["ms"] > MOST_MS or found["ratio"] > MOST_RATIO
        sys.stdout.write(
            f"  {name:<40}{found['queries']:>8}{found['few_ms']:>9.0f}{found['ms']:>9.0f}"
            f"{found['cpu_ms']:>9.0f}{found['ratio']:>7.1f}{'  !' if beyond else ''}\n"
        )
    sys.stdout.write(f"  aimed at: {MOST_QUERIES} queries, {MOST_MS} ms, ratio {MOST_RATIO}\n")
    sys.stdout.write(json.dumps({"short": short, "pages": figures}) + "\n")
    often = asks_often({name: int(found["queries"]) for name, found in figures.items()})
    expect("pages with too many queries", often, {})


if __name__ == "__main__":
    main()
