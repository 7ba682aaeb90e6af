"""Google late, wrong, partial, refusing or down: the state it ends in, and what staff are told."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from attendance import google_circuit, services
from attendance.google import Google
from attendance.google_circuit import Circuit
from attendance.google_errors import Failure, GoogleError
from attendance.models import Activity, Endpoint, Outcome, ReviewItem, SyncRun
from attendance.sandbox import FakeGoogle, Fault, World, build_world, serve, service_account_key
from attendance.selectors.lag import measured_lag

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 6, 2, 20, tzinfo=UTC)
LOG = "/admin/reports"


@pytest.fixture
def google(google: Google) -> Google:
    """One that does not wait long for an answer."""
    return replace(google, timeout_seconds=1.0)


def newest_run() -> SyncRun:
    """The last reading of the log."""
    return SyncRun.objects.filter(source="meet").latest("pk")


def alerts() -> list[str]:
    """What staff are told of Google now."""
    return list(
        ReviewItem.objects.filter(kind="google_dark", state="open").values_list("key", flat=True)
    )


@pytest.mark.parametrize(
    ("fault", "state", "failure", "alert"),
    [
        (Fault(LOG, 403, "rateLimitExceeded", times=9), "failed", "transient", True),
        (Fault(LOG, 429, "rateLimitExceeded", times=9, headers={"Retry-After": "4"}), "failed",
         "transient", True),
        (Fault(LOG, 503, "backendError", times=9), "failed", "transient", True),
        (Fault(LOG, 200, "", times=9, hang_seconds=2.0), "failed", "transient", True),
        (Fault(LOG, 401, "authError", times=9), "config_error", "config", True),
        (Fault(LOG, 403, "forbidden", times=9), "config_error", "config", True),
        (Fault(LOG, 403, "accessNotConfigured", times=9), "config_error", "config", True),
        (Fault(LOG, 403, "insufficientPermissions", times=9), "config_error", "config", True),
        (Fault("/token", 400, "", times=9, body={"error": "unauthorized_client"}), "config_error",
         "config", True),
        (Fault("/token", 400, "", times=9, body={"error": "invalid_grant"}), "config_error",
         "config", True),
        (Fault(LOG, 400, "invalid", times=9), "failed", "invalid", True),
        (Fault(LOG, 410, "fullSyncRequired", times=9), "failed", "invalid", True),
    ],
    ids=lambda value: getattr(value, "reason", "") or None,
)  # fmt: skip
def test_each_failure_ends_in_its_state_and_lets_nobody_be_missed(
    fake: FakeGoogle, google: Google, fault: Fault, state: str, failure: str, alert: bool
) -> None:
    fake.faults.append(fault)

    services.sync(now=NOW, google=google)
    services.settle(now=NOW)

    run = newest_run()
    assert (run.state, run.failure) == (state, failure)
    assert not Outcome.objects.filter(outcome="missed", effective=True).exists()
    assert ("google_dark:meet" in alerts()) == alert
    fake.faults.clear()
    services.sync(now=NOW, google=replace(google, insist=True))
    services.settle(now=NOW)
    assert newest_run().state == "complete"
    assert alerts() == []
    assert Outcome.objects.filter(outcome="missed", effective=True).exists()


@pytest.mark.parametrize("status", [400, 410])
def test_a_window_that_google_takes_no_more_is_read_again_from_its_start(
    fake: FakeGoogle, google: Google, status: int
) -> None:
    fake.faults.append(Fault(LOG, status, "invalid", times=1))

    report = services.sync(now=NOW, google=google)

    assert newest_run().state == "complete"
    assert report.state == "complete"
    assert SyncRun.objects.filter(source="meet", failure="invalid").count() == 1


@pytest.mark.parametrize("path", [LOG, "/calendar"])
def test_a_quota_that_is_used_up_for_a_moment_is_waited_for(
    fake: FakeGoogle, google: Google, path: str
) -> None:
    """Google's client repeats other rate limits by itself, but gives this one up."""
    fake.faults.append(Fault(path, 403, "quotaExceeded", times=1))

    report = services.sync(now=NOW, google=replace(google, retries=1))

    assert (report.state, report.errors) == ("complete", ())


def test_one_401_is_answered_with_a_fresh_token(fake: FakeGoogle, google: Google) -> None:
    fake.faults.append(Fault(LOG, 401, "authError", times=1))

    assert services.sync(now=NOW, google=google).state == "complete"
    assert len(fake.claims) >= 2


def test_a_right_that_is_taken_away_holds_absences_that_are_not_said_yet(
    fake: FakeGoogle, google: Google
) -> None:
    """(f): a complete reading was made, but Google refuses now."""
    services.sync(now=NOW, google=google)
    fake.faults.append(Fault(LOG, 403, "forbidden", times=9))
    services.sync(now=NOW, google=google)

    services.settle(now=NOW)

    held = Outcome.objects.filter(outcome="pending", is_current=True)
    reasons = held.filter(session__ends_at__lt=NOW - timedelta(hours=4))
    assert set(reasons.values_list("reason", flat=True)) == {"google_dark"}
    assert not Outcome.objects.filter(outcome="missed").exists()
    fake.faults.clear()
    later = NOW + timedelta(minutes=70)  # old classes are looked at again each hour
    services.sync(now=later, google=replace(google, insist=True))
    services.settle(now=later)
    assert not held.filter(reason="google_dark").exists()
    assert Outcome.objects.filter(outcome="missed", effective=True).exists()


def test_after_failures_in_a_row_google_is_left_in_peace_by_every_worker(
    fake: FakeGoogle, google: Google
) -> None:
    fake.faults.append(Fault(LOG, 503, "backendError", times=99))
    for _ in range(google_circuit.FAILURES):
        services.sync(now=NOW, google=google)
    asked = sum(LOG in request for request in fake.requests)

    services.sync(now=NOW, google=google)
    another = Circuit("reports", redis_url=_redis_url())

    assert sum(LOG in request for request in fake.requests) == asked
    assert newest_run().failure == "circuit_open"
    assert another.is_open
    fake.faults.clear()
    # A person who mended something does not wait.
    assert services.sync(now=NOW, google=replace(google, insist=True)).state == "complete"
    assert not Circuit("reports", redis_url=_redis_url()).is_open
    assert services.sync(now=NOW, google=google).state == "complete"


def _redis_url() -> str:
    from django.conf import settings

    url: str = settings.REDIS_URL
    return url


def test_without_redis_the_circuit_counts_as_closed() -> None:
    lost = Circuit("google", redis_url="redis://127.0.0.1:9/0")

    assert lost.call(lambda: 7) == 7
    with pytest.raises(GoogleError):
        lost.call(_refused)
    assert not lost.is_open


def _refused() -> int:
    raise GoogleError(Failure.TRANSIENT, "no")


def test_more_pages_than_a_window_may_have_move_no_watermark(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["attendance.services.sync"], "PAGES_AT_MOST", 0)

    report = services.sync(now=NOW, google=google)

    assert (report.state, newest_run().state) == ("partial", "partial")
    assert not SyncRun.objects.filter(source="meet", state="complete").exists()


# --- how late Google is ----------------------------------------------------------------------


def test_a_first_back_fill_says_nothing_about_how_late_google_is(google: Google) -> None:
    services.sync(now=NOW, google=google)

    assert Activity.objects.exists()
    assert not Activity.objects.filter(lag_seconds__isnull=False).exists()


def test_records_that_were_not_there_at_the_reading_before_tell_the_lag(
    world: World, fake: FakeGoogle, google: Google
) -> None:
    fake.clock = lambda: NOW - timedelta(hours=4)
    services.sync(now=NOW - timedelta(minutes=230), google=google)  # back-fill
    for minutes in range(220, -1, -10):
        at = NOW - timedelta(minutes=minutes)
        fake.clock = lambda at=at: at
        services.sync(now=at, google=google)

    lags = list(
        Activity.objects.filter(lag_seconds__isnull=False).values_list("lag_seconds", flat=True)
    )
    truth = {
        record.body["id"]["uniqueQualifier"]: record.visible_at - _ended(record)
        for record in world.records
        if record.visible_at
    }
    rows = Activity.objects.filter(lag_seconds__isnull=False)
    for qualifier, seconds in rows.values_list("unique_qualifier", "lag_seconds"):
        late = truth[qualifier].total_seconds()
        assert late <= (seconds or 0) + 1 <= late + 700  # at the next reading, every 10 minutes
    assert len(lags) >= 5
    assert measured_lag(now=NOW) == (None, None, None)  # too few to say


def _ended(record: Any) -> datetime:
    return datetime.fromisoformat(record.body["id"]["time"])


def test_a_late_google_lengthens_the_wait_for_absences(google: Google) -> None:
    services.sync(now=NOW, google=google)
    SyncRun.objects.filter(source="meet").update(lag_p99_seconds=3 * 3600)

    services.settle(now=NOW)

    newest = Outcome.objects.filter(session__ends_at__gt=NOW - timedelta(hours=3, minutes=30))
    assert newest.exists()
    assert not newest.filter(outcome="missed").exists()


# --- by hand -----------------------------------------------------------------------------------


@pytest.fixture
def at_hand(fake: FakeGoogle, google: Google, settings: Any) -> None:
    settings.GOOGLE_SERVICE_ACCOUNT_JSON = google.key
    settings.GOOGLE_DELEGATED_USER = google.delegated_user
    settings.GOOGLE_API_URL = google.api_url


@pytest.mark.usefixtures("at_hand", "world")
def test_one_class_is_read_and_judged_again(settings: Any) -> None:
    now = timezone.now()  # the command reads the real clock
    shifted = build_world(now=now, weeks=2, learners=12, seed=5)
    fake = shifted.google()
    with serve(fake) as url:
        key = service_account_key(f"{url}/token")
        services.sync(now=now, google=Google(key=key, delegated_user="a@b.example", api_url=url))
    held = shifted.classes[-1]
    out = StringIO()

    with serve(fake) as url:
        settings.GOOGLE_API_URL = url
        settings.GOOGLE_SERVICE_ACCOUNT_JSON = service_account_key(f"{url}/token")
        call_command("sync_attendance", "--session", held.event_id, "--json", stdout=out)

    told = json.loads(out.getvalue().splitlines()[-1])
    assert told["state"] == "complete"
    assert told["settled"] == 1
    with pytest.raises(CommandError, match="there is no class"):
        call_command("sync_attendance", "--session", "nothing")


@pytest.mark.usefixtures("at_hand")
def test_the_probe_names_parameters_and_never_values(
    fake: FakeGoogle, world: World, settings: Any
) -> None:
    fake.records = build_world(now=timezone.now(), weeks=2, learners=12, seed=5).records
    settings.GOOGLE_CALENDAR_IDS = list(world.calendars)
    out = StringIO()

    call_command("google_probe", "--json", stdout=out)

    text = out.getvalue()
    told = json.loads(text.splitlines()[-1])
    assert told["ok"] is True
    assert {"conference_id", "identifier", "endpoint_id"} <= set(told["parameters"])
    assert 0 < told["with_start"] < 1
    assert abs(told["clock_skew_seconds"]) < 5
    assert not any(row.joins_as in text or row.name in text for row in world.learners)
    assert not Endpoint.objects.exists()


@pytest.mark.usefixtures("at_hand")
def test_the_probe_says_what_does_not_answer(fake: FakeGoogle) -> None:
    fake.faults.append(Fault(LOG, 403, "forbidden", times=9))

    with pytest.raises(CommandError, match="Not every part"):
        call_command("google_probe", stdout=StringIO())
