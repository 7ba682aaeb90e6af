"""Records of Google's log over HTTP (S01): said twice, broken off, odd, old, and by 16 at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, Max, Min

from attendance import services
from attendance.google import Google
from attendance.models import (
    Activity,
    Conference,
    ConferenceMatch,
    Endpoint,
    Outcome,
    SyncRun,
)
from attendance.sandbox import Fault, World, build_world, serve, service_account_key
from tests.e2e.commands import ROOT, environment
from tests.e2e.commands import run as run_command
from tests.factories.calls import (
    ADMIN,
    EXTERNAL,
    LOG,
    OddGoogle,
    activity,
    google_of,
    records,
)

NOW = datetime(2025, 3, 4, 22, tzinfo=UTC)
CALENDAR = "spanish@group.calendar.example"
HOST = "host@school.example"
Rows = dict[str, list[Any]]


def enrol(world: World) -> None:
    for row in world.learners:
        services.upsert_learner(
            email=row.email, name=row.name, calendar_ids=row.courses, now=NOW - timedelta(days=40)
        )


def made() -> World:
    """Two weeks of classes up to NOW, six learners; the same each time."""
    return build_world(now=NOW, weeks=2, learners=6, seed=3)


@pytest.fixture
def world() -> World:
    return made()


def google_with(world: World, **how: Any) -> OddGoogle:
    return OddGoogle(records=list(world.records), calendars=dict(world.calendars), **how)


def rows() -> Rows:
    """What the log says, without numbers of ours: equal rows, equal knowledge."""
    return {
        "activities": sorted(
            Activity.objects.values_list("event_time", "unique_qualifier", "event_index")
        ),
        "endpoints": sorted(
            Endpoint.objects.values_list(
                "conference__conference_id", "endpoint_id", "started_at", "ended_at", "mark",
                "kind", "conference__meeting_code",
            )
        ),
        "people": sorted(
            Endpoint.objects.exclude(learner=None).values_list("endpoint_id", "learner__email")
        ),
        "classes": sorted(
            ConferenceMatch.objects.values_list(
                "conference__conference_id", "session__event_id", "rule"
            )
        ),
        "outcomes": sorted(
            Outcome.objects.filter(is_current=True, session__ends_at__lt=NOW).values_list(
                "learner__email", "session__event_id", "outcome", "present_seconds", "effective"
            )
        ),
    }  # fmt: skip


def absences(found: Rows) -> set[tuple[str, str]]:
    """Who is said to have missed which class, to be acted on."""
    return {row[:2] for row in found["outcomes"] if row[2] == "missed" and row[4]}


def read(google: Google, *, now: datetime = NOW, **window: Any) -> services.SyncReport:
    report = services.sync(now=now, google=google, **window)
    services.settle(now=now)
    return report


@cache
def undisturbed() -> Rows:
    """What one reading without any trouble writes, once its people are enrolled; nothing of it
    stays. It is the same world for all, so it is found out once."""
    with transaction.atomic(), google_of(google_with(made())) as google:
        read(google)
        found = rows()
        transaction.set_rollback(True)
    assert len(found["endpoints"]) > 15
    assert {outcome[2] for outcome in found["outcomes"]} >= {"attended", "missed"}
    return found


# --- the same again, in any order, broken off at any point -----------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("page_size", [1, 7, 1000])
def test_pages_said_twice_and_shuffled_write_what_one_clean_reading_writes(
    world: World, page_size: int
) -> None:
    enrol(world)
    expected = undisturbed()
    fake = google_with(world, page_size=page_size, shuffle=random.Random(9))

    with google_of(fake) as google:
        first = read(google)
        again = read(google)
        overlapping = read(google, since=NOW - timedelta(days=9), until=NOW - timedelta(hours=2))

    assert rows() == expected
    assert (again.activities, overlapping.activities) == (0, 0)
    assert first.activities == len(expected["activities"])
    assert overlapping.duplicates > first.activities / 2


@pytest.mark.django_db
@pytest.mark.parametrize(("status", "page"), [(503, 1), (503, 5), (503, 12), (429, 5), (403, 12)])
def test_a_break_between_pages_moves_no_watermark_and_leaves_no_gap(
    world: World, status: int, page: int
) -> None:
    enrol(world)
    expected = undisturbed()
    refusal = Fault(LOG, status, "rateLimitExceeded")
    fake = google_with(world, page_size=1, breaks_before=page, refusal=refusal)

    with google_of(fake) as google:
        broken = read(google)
        complete = SyncRun.objects.filter(source="meet", state="complete")
        watermark = complete.aggregate(at=Max("window_end_at"))["at"]
        kept = Activity.objects.aggregate(n=Count("pk"), newest=Max("event_time"))
        called_missed = absences(rows())
        mended = read(google)

    assert (broken.state, mended.state) == ("partial", "complete")
    assert 0 < kept["n"] < len(expected["activities"])
    assert watermark < kept["newest"]
    assert called_missed <= absences(expected)
    assert rows() == expected


def command(url: str) -> dict[str, str]:
    """The environment of a real `sync_attendance` that reads the Google at `url`."""
    return environment(
        GOOGLE_SERVICE_ACCOUNT_JSON=json.dumps(service_account_key(f"{url}/token")),
        GOOGLE_DELEGATED_USER=ADMIN,
        GOOGLE_API_URL=url,
    )


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_killed_between_two_pages_leaves_no_gap(world: World) -> None:
    enrol(world)
    expected = undisturbed()
    fake = google_with(world, page_size=4, stops_before=2)
    window = [
        f"--since={NOW - timedelta(days=30):%Y-%m-%dT%H:%MZ}",
        f"--until={NOW:%Y-%m-%dT%H:%MZ}",
    ]

    with serve(fake) as url:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "sync_attendance", *window],
            cwd=ROOT,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=command(url),
        )
        reached = fake.stopped.wait(timeout=60)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        fake.go_on.set()
        assert reached
        kept = rows()
        unfinished = SyncRun.objects.get(source="meet", state="running")
        services.settle(now=NOW)
        called_missed = absences(rows())
        report = run_command("sync_attendance", *window, env=command(url))

    assert 0 < len(kept["activities"]) < len(expected["activities"])
    assert set(kept["activities"]) < set(expected["activities"])
    assert unfinished.finished_at is None
    assert called_missed <= absences(expected)
    assert report["state"] == "complete"
    assert report["activities"] == len(expected["activities"]) - len(kept["activities"])
    assert rows() == expected


# --- odd records ------------------------------------------------------------------------------


def one(number: int, **changes: Any) -> dict[str, Any]:
    """A whole record of an hour; what is None is left out."""
    at = changes.pop("at", NOW - timedelta(hours=2, minutes=number))
    values: dict[str, Any] = {
        "endpoint_id": f"boq_hlane_{number}",
        "conference_id": "Zq1odd",
        "meeting_code": "ABCDEFGHIJ",
        "calendar_event_id": "event1",
        "organizer_email": HOST,
        "identifier": f"p{number}@school.example",
        "identifier_type": "email_address",
        "duration_seconds": 3600,
        "start_timestamp_seconds": int(at.timestamp()) - 3600,
        "is_external": True,
        "qualifier": 1000 + number,
        "actor": EXTERNAL,
    } | changes
    given = {name: value for name, value in values.items() if value is not None}
    return activity(at=at, **{"qualifier": None, **given})


@pytest.mark.django_db
def test_odd_records_are_read_or_counted_and_stop_nothing() -> None:
    services.upsert_course(calendar_id=CALENDAR, now=NOW)
    mixed, double = one(7), one(8)
    mixed["events"] += activity(at=NOW, name="hand_raised")["events"]
    double["events"] += one(9)["events"]
    unreadable = one(10, start_timestamp_seconds=None, duration_seconds="long")
    odd = [
        one(0),
        one(1, start_timestamp_seconds=None),
        one(2, qualifier=None),
        one(3, identifier=None, identifier_type=None),
        one(4, calendar_event_id=None),
        one(5, qualifier=-8535813813327021818),
        one(6, qualifier=-(2**63)),
        mixed,
        double,
        unreadable,
        activity(at=NOW - timedelta(hours=1), name="speech_translation_allowed", qualifier=77),
        activity(at=NOW - timedelta(hours=1), name="of_tomorrow", qualifier=78, actor={}),
    ]
    fake = OddGoogle(records=records(*odd), calendars={CALENDAR: []}, names_all=True, page_size=3)

    with google_of(fake) as google:
        first = services.sync(now=NOW, google=google)
        before = rows()
        again = services.sync(now=NOW, google=google)

    assert (first.state, first.activities, first.ignored) == ("complete", 10, 4)
    assert (again.state, again.activities, again.ignored) == ("complete", 0, 4)
    assert rows() == before
    found = {row.endpoint_id.removeprefix("boq_hlane_"): row for row in Endpoint.objects.all()}
    assert sorted(found) == [str(number) for number in range(10)]
    assert [found[n].start_source for n in ("0", "1")] == ["given", "derived"]
    del found["9"]  # the second event of a record has the first one's end
    assert {row.ended_at - row.started_at for row in found.values()} == {timedelta(hours=1)}
    assert (found["3"].mark, found["4"].calendar_event_id) == ("", "")
    qualifiers = set(Activity.objects.values_list("unique_qualifier", flat=True))
    assert {"-8535813813327021818", str(-(2**63))} < qualifiers
    assert sum(text.startswith("h:") for text in qualifiers) == 1
    assert list(
        Activity.objects.filter(unique_qualifier="1008")
        .order_by("event_index")
        .values_list("event_index", flat=True)
    ) == [0, 1]
    runs = SyncRun.objects.filter(source="meet")
    assert sum(runs.values_list("ignored_rows", flat=True)) == 8


# --- many at once ------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_sixteen_readings_at_once_get_each_their_own_answers() -> None:
    """A client shared by threads hands out other threads' answers; here nothing is shared."""
    days, each = 16, 25
    first = NOW - timedelta(days=days)
    log = [
        one(number + each * day, at=first + timedelta(days=day, minutes=10 + 40 * number),
            conference_id=f"day{day}", endpoint_id=f"e{day}-{number}")
        for day in range(days) for number in range(each)
    ]  # fmt: skip
    fake = OddGoogle(calendars={CALENDAR: []}, records=records(*log), page_size=6)
    for number in range(each):
        services.upsert_learner(
            email=f"p{number}@school.example", name="", calendar_ids=[CALENDAR], now=first
        )
    together = threading.Barrier(days)

    def sync_day(day: int) -> services.SyncReport:
        since = first + timedelta(days=day)
        together.wait(timeout=30)
        with closing(connection):
            return services.sync(
                now=NOW, since=since, until=since + timedelta(days=1), google=google
            )

    with google_of(fake) as google, ThreadPoolExecutor(days) as threads:
        reports = list(threads.map(sync_day, range(days)))

    assert [(r.state, r.activities, r.duplicates) for r in reports] == [
        ("complete", each, 0)
    ] * days
    runs = SyncRun.objects.filter(source="meet").order_by("window_start_at")
    for run, following in pairwise([*runs, None]):
        assert run is not None
        times = run.activities.aggregate(
            n=Count("pk"), first=Min("event_time"), last=Max("event_time")
        )
        assert (run.pages, times["n"]) == (5, each)
        assert run.window_start_at <= times["first"] < times["last"] < run.window_end_at
        assert following is None or run.window_end_at == following.window_start_at
    assert set(Conference.objects.annotate(n=Count("endpoints")).values_list("n")) == {(each,)}
    assert Endpoint.objects.exclude(learner=None).count() == each
    assert not Conference.objects.exclude(dirty_at=None).exists()
