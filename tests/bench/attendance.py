"""How fast attendance is: a back-fill, a reading without news, and one class among many.

`make bench-attendance`, or `SHORT=1 make bench-attendance`. Prints a table and one JSON object
as the last line. It fails where the results are wrong, never for a time.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from argparse import ArgumentParser
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection, connections, transaction  # noqa: E402
from django.db.models import Count  # noqa: E402

from attendance import services  # noqa: E402
from attendance.models import (  # noqa: E402
    ClassSession,
    ConferenceMatch,
    Endpoint,
    Outcome,
    SyncRun,
)
from tests.bench.report import Figures, WrongResultError, expect, table  # noqa: E402
from tests.bench.worlds import (  # noqa: E402
    NOW,
    Plan,
    copied,
    door,
    enrol,
    google_of,
    multiply,
    own_database,
    read_often,
    working_on,
)

TEN_MINUTES, DAY, WEEK = timedelta(minutes=10), timedelta(days=1), timedelta(weeks=1)


def outcomes() -> dict[str, int]:
    """How many of each kind stand."""
    rows = Outcome.objects.filter(is_current=True).values_list("outcome")
    return dict(rows.annotate(n=Count("pk")).order_by())


# --- the back-fill and the reading after it -------------------------------------------------------


def back_fill(*, courses: int, classes: int) -> tuple[Figures, Figures]:
    """Read everything over HTTP, settle it, and read again when nothing is new."""
    plan = Plan(
        courses=courses, learners=40, classes=classes, newest=NOW - timedelta(hours=5),
        apart=timedelta(hours=12), second_devices=13,
    )  # fmt: skip
    enrol(plan)
    google = google_of(plan)
    with door(google) as reader:
        began = time.perf_counter()
        read = services.sync(now=NOW, google=reader)
        reading = time.perf_counter() - began
        expect("back-fill", (read.state, read.activities), ("complete", plan.endpoints))
        expect("endpoints", Endpoint.objects.count(), plan.endpoints)
        matched = ConferenceMatch.objects.count()
        expect("calls matched", matched, courses * classes)
        began = time.perf_counter()
        while services.settle(now=NOW).settled:
            pass
        settling = time.perf_counter() - began
        expect("outcomes", outcomes(), plan.outcomes())
        own = google.own_seconds
        routine = {
            name: no_news(reader, now)
            for name, now in [
                ("routine", NOW + TEN_MINUTES),
                ("hourly", NOW + 7 * TEN_MINUTES),
                ("nightly", NOW + DAY + 2 * TEN_MINUTES),
            ]
        }
    kinds = SyncRun.objects.filter(source="meet").order_by("-pk").values_list("kind", flat=True)
    expect("kinds of reading", list(kinds[:3]), ["nightly", "hourly", "routine"])
    return {
        "endpoints": plan.endpoints,
        "classes": matched,
        "seconds": reading,
        "endpoints_per_second": plan.endpoints / reading,
        "of_which_google_itself": own,
        "settle_seconds": settling,
        "settle_ms_per_class": 1000 * settling / matched,
    }, routine


def no_news(reader: Any, now: Any) -> float:
    """Read and settle where nothing has happened; return the seconds."""
    before = Endpoint.objects.count(), outcomes()
    began = time.perf_counter()
    read = services.sync(now=now, google=reader)
    services.settle(now=now)
    took = time.perf_counter() - began
    expect("reading without news", (read.state, read.activities), ("complete", 0))
    expect("rows after it", (Endpoint.objects.count(), outcomes()), before)
    return took


# --- one class among many ------------------------------------------------------------------------


def among(*, many: int, rounds: int) -> Figures:
    """Settle the same class among ten settled ones, among `many`, and after a long past.

    All in one run and by turns, so that whatever else the machine does hits all alike.
    """
    plan = Plan(
        courses=1, learners=20, classes=11, newest=NOW - timedelta(hours=5), apart=WEEK,
        second_devices=4,
    )  # fmt: skip
    enrol(plan)
    prepare(plan)
    with ExitStack() as stack:
        worlds: dict[str, Any] = {"ten": connections["default"]}
        for name, copies, same_people in [("many", many // 10 - 1, False), ("long", 9, True)]:
            worlds[name] = stack.enter_context(copied(name))
            with working_on(worlds[name]):
                multiply(copies=copies, same_people=same_people)
                read_often(days=many // 35)  # so many classes at 35 a day
        counts = {}
        for name, world in worlds.items():
            with working_on(world), connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
                counts[name] = ClassSession.objects.filter(status="settled").count()
        expect("settled classes", counts, {"ten": 10, "many": many, "long": 100})
        took: dict[str, list[float]] = {name: [] for name in worlds}
        for turn in range(rounds + 2):
            names = list(worlds)
            for name in (*names[turn % 3 :], *names[: turn % 3]):
                with working_on(worlds[name]):
                    seconds = settle_newest(plan)
                if turn >= 2:  # the first ones only warm up
                    took[name].append(1000 * seconds)
    ms = {name: statistics.median(values) for name, values in took.items()}
    return {
        "among": many,
        "rounds": rounds,
        "ms_among_ten": ms["ten"],
        "ms_among_many": ms["many"],
        "ratio": ms["many"] / ms["ten"],
        "ms_after_100_of_its_course": ms["long"],
        "ratio_of_long_course": ms["long"] / ms["ten"],
    }


def prepare(plan: Plan) -> None:
    """Ten settled classes, and an eleventh whose records are there and matched."""
    with door(google_of(plan)) as reader:
        services.sync(now=NOW - WEEK, since=NOW - 12 * WEEK, google=reader)
        services.settle(now=NOW - WEEK)
        expect("settled", ClassSession.objects.filter(status="settled").count(), 10)
        services.sync(now=NOW, since=NOW - WEEK, google=reader)
    expect("endpoints", Endpoint.objects.count(), plan.endpoints)


def settle_newest(plan: Plan) -> float:
    """Settle the newest class, take it back, and return the seconds."""
    newest = ClassSession.objects.get(event_id="c0e0")
    with transaction.atomic():
        began = time.perf_counter()
        report = services.settle_session(session_id=newest.pk, now=NOW)
        took = time.perf_counter() - began
        found = Outcome.objects.filter(session=newest, effective=True, is_current=True)
        kinds = dict(found.values_list("outcome").annotate(n=Count("pk")).order_by())
        expect("outcomes of one class", kinds, {"attended": 18, "missed": 2})
        expect("revisions", report.outcomes, 20)
        transaction.set_rollback(True)
    return took


# --- the report ---------------------------------------------------------------------------------


def main() -> None:
    """Run the bench; exit non-zero where a result is wrong."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer of all: under 30 s")
    short = parser.parse_args().short
    try:
        with own_database():
            with copied("fill") as fill, working_on(fill):
                filled, routine = back_fill(courses=8 if short else 20, classes=5 if short else 50)
            settled = among(many=300 if short else 5000, rounds=10 if short else 60)
    except WrongResultError as error:
        sys.exit(f"wrong: {error}")
    table(
        [
            ("back-fill, endpoints", filled["endpoints"], ""),
            ("back-fill, seconds", filled["seconds"], "< 300 for 50,000"),
            ("back-fill, endpoints a second", filled["endpoints_per_second"], ""),
            ("  of the seconds, the loopback Google's own", filled["of_which_google_itself"], ""),
            ("settling all of it, seconds", filled["settle_seconds"], ""),
            ("routine reading without news, seconds", routine["routine"], "< 5"),
            ("hourly reading without news, seconds", routine["hourly"], ""),
            ("nightly reading without news, seconds", routine["nightly"], ""),
            ("one class among 10, ms", settled["ms_among_ten"], ""),
            (f"one class among {settled['among']:,}, ms", settled["ms_among_many"], ""),
            ("  ratio", settled["ratio"], "<= 1.2"),
            ("the 101st class of a course, ms", settled["ms_after_100_of_its_course"], ""),
            ("  ratio", settled["ratio_of_long_course"], ""),
        ]
    )
    report = {"short": short, "back_fill": filled, "no_news": routine, "settling": settled}
    sys.stdout.write(json.dumps(report, default=str, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
