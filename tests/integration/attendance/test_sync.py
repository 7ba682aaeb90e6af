"""Reading Google over HTTP with its real client (S01, N04): repeated, broken, dark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest

from attendance import services
from attendance.google import Google
from attendance.models import Activity, AttendanceEvent, Course, Endpoint, Outcome, SyncRun
from attendance.sandbox import FakeGoogle, Fault, World

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 2, 20, tzinfo=UTC)
LOG = "/admin/reports"
CALENDAR = "/calendar/v3"


def read(google: Google, *, at: datetime = NOW) -> services.SyncReport:
    """Sync and settle."""
    report = services.sync(now=at, google=google)
    services.settle(now=at)
    return report


def tables() -> list[Any]:
    """Everything that a second reading must not change."""
    return [
        sorted(Activity.objects.values_list("unique_qualifier", "event_time")),
        sorted(Endpoint.objects.values_list("endpoint_id", "started_at", "ended_at", "learner")),
        sorted(Outcome.objects.values_list("learner", "session", "revision", "outcome")),
        sorted(AttendanceEvent.objects.values_list("key", flat=True)),
    ]


def missed() -> int:
    """How many absences may be acted on."""
    return Outcome.objects.filter(outcome="missed", effective=True, is_current=True).count()


def test_the_outcomes_are_the_truth(world: World, google: Google) -> None:
    report = read(google)

    found = {
        (row.learner.email, row.session.event_id): row.outcome
        for row in Outcome.objects.filter(is_current=True).select_related("learner", "session")
    }
    assert report.state == "complete"
    right = sum(found[pair] == kind for pair, kind in world.truth.items())
    assert right >= 0.97 * len(world.truth)
    assert not [p for p, o in found.items() if o == "missed" and world.truth[p] != "missed"]
    assert missed() > 0


def test_a_course_is_named_as_its_calendar_and_keeps_its_time_until_staff_say_otherwise(
    world: World, fake: FakeGoogle, google: Google
) -> None:
    """Texts may say {{ course_title }}; an import of learners knows calendar ids only."""
    one, other = sorted(world.calendars)
    Course.objects.filter(calendar_id=other).update(
        title="Spanish for nurses", time_zone="America/Bogota"
    )
    fake.titles = {one: "Algebra", other: "spanish-2"}
    fake.zones = {one: "Europe/Madrid", other: "Europe/Madrid"}

    read(google)

    assert set(Course.objects.values_list("calendar_id", "title", "time_zone")) == {
        (one, "Algebra", "Europe/Madrid"),
        (other, "Spanish for nurses", "America/Bogota"),
    }


def test_a_zone_that_nobody_knows_is_not_taken(
    world: World, fake: FakeGoogle, google: Google
) -> None:
    fake.zones = dict.fromkeys(world.calendars, "Mars/Olympus")

    read(google)

    assert set(Course.objects.values_list("time_zone", flat=True)) == {""}


def test_reading_twice_changes_nothing(google: Google) -> None:
    read(google)
    before = tables()

    again = read(google)

    assert tables() == before
    assert again.activities == 0


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (Fault(LOG, 503, times=99), "failed"),
        (Fault(LOG, 429, "rateLimitExceeded", times=99), "failed"),
        (Fault(LOG, 403, "quotaExceeded", times=99), "failed"),
        (Fault(LOG, 403, "forbidden", times=99), "config_error"),
        (Fault(LOG, 401, "authError", times=99), "config_error"),
    ],
    ids=lambda value: str(getattr(value, "reason", value)),
)
def test_with_google_dark_nobody_is_called_missed_and_it_recovers(
    fake: FakeGoogle, google: Google, fault: Fault, state: str
) -> None:
    fake.faults = [fault]

    dark = read(google)

    assert (dark.state, missed()) == (state, 0)
    assert dark.errors
    fake.faults = []
    assert read(google).state == "complete"
    assert missed() > 0


def test_a_break_between_two_windows_keeps_what_came_and_goes_on_there(
    fake: FakeGoogle, google: Google
) -> None:
    fake.faults = [Fault(f"{LOG}/v1/activity/users/all/applications/meet", 200, times=0)]
    read(google, at=NOW - timedelta(days=3))
    done = SyncRun.objects.filter(source="meet", state="complete").count()
    fake.faults = [Fault(LOG, 503, times=1)]

    broken = read(google)

    assert broken.state == "failed"
    assert SyncRun.objects.filter(source="meet", state="complete").count() == done
    assert read(google).state == "complete"
    assert missed() > 0


def test_a_calendar_that_is_not_shared_is_told_and_the_others_go_on(
    fake: FakeGoogle, google: Google
) -> None:
    gone = sorted(fake.calendars)[0]
    del fake.calendars[gone]

    report = read(google)

    assert report.state == "config_error"
    assert any(gone in error for error in report.errors)
    assert Outcome.objects.exists()


def test_a_record_that_comes_late_corrects_who_was_there(
    world: World, fake: FakeGoogle, google: Google
) -> None:
    """N05: missed turns into attended, and the correction goes out as a fact."""
    newest = max(world.classes, key=lambda held: held.starts_at).event_id
    email = next(
        e for (e, event), kind in world.truth.items() if (event, kind) == (newest, "attended")
    )
    person = next(row for row in world.learners if row.email == email)
    late = [row for row in fake.records if person.joins_as in str(row.body)]
    fake.records = [row for row in fake.records if row not in late]
    read(google)
    wrong = missed()
    fake.records += late

    read(google, at=NOW + timedelta(hours=2))

    assert missed() < wrong
    assert AttendanceEvent.objects.filter(kind="corrected", learner__email=person.email).exists()


def test_a_log_counts_as_read_only_when_its_records_are_somebodys(
    world: World, fake: FakeGoogle, google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settler in another process may come between any two transactions of a reading."""
    newest = max(world.classes, key=lambda held: held.starts_at).event_id
    email = next(
        e for (e, event), kind in world.truth.items() if (event, kind) == (newest, "attended")
    )
    person = next(row for row in world.learners if row.email == email)
    late = [row for row in fake.records if person.joins_as in str(row.body)]
    fake.records = [row for row in fake.records if row not in late]
    read(google, at=NOW - timedelta(hours=1))
    for record in late:
        (event,) = record.body["events"]
        event["parameters"] = [p for p in event["parameters"] if p["name"] != "display_name"]
    fake.records += late
    reading = import_module("attendance.services.sync")
    match = reading.match

    def settle_first(*, now: datetime) -> int:
        services.settle(now=now)
        return int(match(now=now))

    monkeypatch.setattr(reading, "match", settle_first)

    read(google)

    said = AttendanceEvent.objects.filter(learner__email=email, session__event_id=newest)
    assert "attended" in (kinds := set(said.values_list("kind", flat=True)))
    assert not kinds & {"missed", "corrected"}
    assert missed() > 0
