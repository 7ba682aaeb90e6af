"""/metrics: who may read it, and that each number is what a plain count of the rows says (S14)."""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from attendance import services as attendance
from attendance.domain.kinds import AuditVerdict
from attendance.models import AuditPair, Endpoint, ReviewItem, SyncRun
from config import jobs as timetable
from delivery import clock, measures, services
from delivery.models import Attempt, Delivery, InboundUpdate, Process
from nurture import services as nurture
from nurture.domain.alerts import Code
from nurture.domain.figures import ARRIVED, GAVE_UP
from nurture.models import AlertEpisode, Job, Journey, StaffTask
from nurture.services import findings, jobs
from nurture.services.figures import count_hours
from nurture.services.metrics import MEANINGS
from tests.factories.delivery import make_delivery, send_aside
from tests.factories.nurture import settle
from tests.factories.school import make_school

pytestmark = pytest.mark.django_db
TOKEN = "a-token-for-the-page-of-figures"
LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)\Z")
MOST_QUERIES = 25
Scraped = dict[tuple[str, ...], float]


def scrape(client: Client, settings: Any) -> Scraped:
    """Every sample: (name, its labels' values in their order) → number."""
    settings.METRICS_TOKEN = TOKEN
    answer = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    return parsed(answer.content.decode())


def parsed(text: str) -> Scraped:
    """The page as numbers."""
    found: Scraped = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.match(line)
            assert match, line
            labels = re.findall(r'\w+="([^"]*)"', match[2] or "")
            key = (match[1], *labels)
            assert key not in found, key
            found[key] = float(match[3])
    return found


@pytest.mark.parametrize(
    ("token", "given", "status"),
    [
        ("", "Bearer ", 404),  # no token is set: there is no page
        (TOKEN, "", 401),
        (TOKEN, f"Bearer {TOKEN}x", 401),
        (TOKEN, TOKEN, 401),
        (TOKEN, "Bearer ünlesbar", 401),
        (TOKEN, f"Bearer {TOKEN}", 200),
    ],
)
def test_only_who_has_the_token_reads_it(
    client: Client, settings: Any, token: str, given: str, status: int
) -> None:
    settings.METRICS_TOKEN = token

    assert client.get("/metrics", headers={"authorization": given}).status_code == status
    assert client.post("/metrics", headers={"authorization": given}).status_code in {405, status}


def a_day() -> None:
    """Something of everything: sent by the real sender, ended otherwise, learners, readings."""
    now = clock.now()
    make_school(now=now)
    for number in range(3):
        make_delivery(due_at=now - timedelta(seconds=30), text=f"Hello {number}")
    send_aside()
    nurture.tick(now=clock.now())
    what_came_of_it(now)
    for status, reason, hours in (
        ("failed", "chat_blocked", 0), ("failed", "content_refused", 2), ("dead", "poison", 0),
        ("expired", "expired", 30), ("cancelled", "withdrawn", 100), ("unknown", "no_answer", 1),
        ("sent", "", 26),
    ):  # fmt: skip
        settle(make_delivery(), at=now - timedelta(hours=hours), status=status, reason=reason)
    make_delivery(due_at=now - timedelta(minutes=5))
    services.close_gate(key="bot:breaker", reason="Telegram does not answer", by="sender")
    updates = [{"callback_query": {}}, {"message": {"text": "yes"}}, {"message": {"text": "/stop"}}]
    InboundUpdate.objects.bulk_create(
        InboundUpdate(
            update_id=n, payload=payload, received_at=now - timedelta(minutes=n), is_answer=n < 2
        )
        for n, payload in enumerate(updates)
    )
    StaffTask.objects.create(kind="handover", key="1", note="Call.", created_at=now)
    for state in ("complete", "failed"):
        SyncRun.objects.create(
            source="meet", kind="routine", state=state, started_at=now - timedelta(seconds=90),
            finished_at=now - timedelta(seconds=60), window_start_at=now - timedelta(hours=1),
            window_end_at=now + timedelta(hours=1), lag_p95_seconds=700,
            failure="circuit_open" if state == "failed" else "",
        )  # fmt: skip
    for process in (Process.CLOCK, Process.WORKER):
        services.beat(process)
    AlertEpisode.objects.create(
        code=Code.POISON, severity="critical", words="It is.", seen_since=now, opened_at=now
    )
    jobs.list_jobs(lines=timetable.lines(), now=now)
    Job.objects.filter(name="prune").update(next_at=now - timedelta(hours=2))
    wrong = findings.Finding(rule="once", says="Not once.", about="delivery.delivery", row=1)
    findings.note(found=[wrong], now=now)


def what_came_of_it(now: datetime) -> None:
    """Journeys end as they should and otherwise, and staff look at outcomes."""
    ends = ({"status": "completed"}, {"status": "exited", "exit_reason": "unreachable"})
    over = {"slot": None, "ended_at": now, "next_action_at": None, "waiting_on": None}
    for journey, values in zip(Journey.objects.order_by("pk"), ends, strict=False):
        Journey.objects.filter(pk=journey.pk).update(**over, **values)
    attendance.draw_audit(now=now)
    for pair in AuditPair.objects.all():
        attendance.judge_audit(pair=pair, verdict=AuditVerdict.RIGHT, truth=None, by="ann", now=now)


def ended(since: timedelta) -> Counter[str]:
    """Plain counts of the deliveries that came to their end."""
    found: Counter[str] = Counter()
    refused = {"chat_blocked", "chat_never_started", "chat_deactivated", "chat_gone"}
    for row in Delivery.objects.filter(is_test=False, settled_at__gte=clock.now() - since):
        is_refused = row.status == "failed" and row.reason in refused
        found["refused" if is_refused else row.status] += 1
    return found


@pytest.mark.django_db(transaction=True)
def test_each_number_is_what_a_plain_count_says(client: Client, settings: Any) -> None:
    a_day()
    count_hours(now=clock.now())  # some hours are read from their counts, the rest from the rows

    page = scrape(client, settings)

    assert {key[0] for key in page} == set(MEANINGS)  # each name is there
    of_week, of_hour = ended(timedelta(days=7, hours=1)), ended(timedelta(hours=1))
    for window, counts in (("7d", of_week), ("1h", of_hour)):
        for end in ("sent", "unknown", "failed", "refused", "dead", "expired", "cancelled"):
            assert page["telbot_deliveries_ended", window, end] == counts[end], (window, end)
    tried = sum(of_week[end] for end in ("sent", "unknown", "failed", "refused", "dead", "expired"))
    wrong = sum(of_week[end] for end in ("unknown", "failed", "dead"))
    assert page["telbot_delivery_success_ratio", "7d"] == near(of_week["sent"] / tried)
    assert page["telbot_error_ratio", "7d"] == near(wrong / (tried - of_week["expired"]))
    assert page["telbot_errors", "delivery", "7d"] == wrong
    assert page["telbot_engagement_ratio", "1h"] == near(2 / of_hour["sent"])
    assert page["telbot_replies_heard", "1h"] == 2

    week_ago = clock.now() - timedelta(days=7, hours=1)
    started = Journey.objects.filter(started_at__gte=week_ago, is_test=False, dry_run=False).count()
    assert page["telbot_journeys", "7d", "started"] == started
    assert page[("telbot_activations_per_day",)] == near(started / 7)
    done = Journey.objects.filter(ended_at__gte=week_ago, is_test=False, dry_run=False)
    arrived = sum(row.status == "completed" or row.exit_reason in ARRIVED for row in done)
    gave_up = sum(row.exit_reason in GAVE_UP for row in done)
    assert page["telbot_journeys_completed_ratio", "7d"] == near(arrived / (arrived + gave_up))

    people = Endpoint.objects.filter(
        kind="human", conference__matches__session__starts_at__gte=clock.now() - timedelta(days=7)
    )
    known = people.exclude(learner=None).count() / people.count()
    assert page[("telbot_correlation_known_ratio",)] == near(known)
    assert page[("telbot_correlation_audit_ratio",)] == 1
    assert page[("telbot_correlation_audited",)] == AuditPair.objects.count() > 0

    pending = Delivery.objects.filter(status="pending", due_at__lte=clock.now(), lane=1)
    assert sum(v for k, v in page.items() if k[0] == "telbot_queue_due") == pending.count()
    assert page[("telbot_late_seconds",)] == 0  # the breaker holds all
    assert page["telbot_gate_closed", "bot:breaker"] == 1
    assert (page["telbot_breaker_open", "telegram"], page["telbot_breaker_open", "google"]) == (
        1,
        1,
    )
    assert page[("telbot_unknown_deliveries",)] == of_week["unknown"]
    assert page[("telbot_dead_deliveries",)] == page[("telbot_poison",)] == of_week["dead"]
    assert page[("telbot_updates_waiting",)] == InboundUpdate.objects.count()
    assert page[("telbot_reviews_open",)] == ReviewItem.objects.filter(state="open").count()
    assert page[("telbot_tasks_open",)] == StaffTask.objects.filter(done_at=None).count()
    assert page["telbot_alerts_open", "poison", "critical"] == 1
    failing = {key[1]: value for key, value in page.items() if key[0] == "telbot_job_failing"}
    assert failing == {job.name: job.name == "prune" for job in timetable.NIGHTLY}
    assert page[("telbot_audit_findings",)] == 1

    seconds = sorted(
        (row.finished_at - row.started_at).total_seconds()
        for row in Attempt.objects.all()
        if row.finished_at and row.started_at > timezone.now() - timedelta(minutes=15)
    )
    assert page["telbot_telegram_tries", "sent", "200"] == len(seconds) >= 3
    assert page["telbot_telegram_call_seconds", "0.5"] == near(seconds[(len(seconds) - 1) // 2])
    assert page["telbot_telegram_call_seconds", "0.99"] == near(seconds[-1])
    assert 30 <= page["telbot_queue_latency_seconds", "bulk", "0.5"] < 60
    assert page["telbot_google_reading_seconds", "meet"] == 30
    assert 60 <= page["telbot_google_reading_age_seconds", "meet"] < 90
    assert page["telbot_google_lag_seconds", "meet"] == 700
    assert page["telbot_google_readings", "meet", "failed"] == 1
    complete = SyncRun.objects.filter(started_at__gte=clock.now() - timedelta(days=1)).count()
    assert page["telbot_component_error_ratio", "google"] == near(1 / complete)
    assert page["telbot_component_error_ratio", "telegram"] == 0
    assert page["telbot_component_error_ratio", "engine"] == 0
    of_day = ended(timedelta(hours=25))
    gone = sum(of_day[end] for end in ("unknown", "failed", "dead"))
    told = page["telbot_component_error_ratio", "delivery"]
    assert told == near(gone / (gone + of_day["sent"] + of_day["refused"]))
    assert page["telbot_process_last_seen_seconds", "clock"] < 30
    assert page["telbot_uptime_ratio", "worker"] == 1


def near(value: float) -> Any:
    """As the page rounds it."""
    return pytest.approx(value, rel=1e-4)


def test_it_asks_as_often_whatever_there_is(client: Client, settings: Any) -> None:
    scrape(client, settings)  # notes flags that nobody had asked for
    with CaptureQueriesContext(connection) as few:
        scrape(client, settings)
    make_school()
    for _ in range(5):
        make_delivery()
    with CaptureQueriesContext(connection) as many:
        scrape(client, settings)

    assert len(few) == len(many) <= MOST_QUERIES


TRIES = """
INSERT INTO delivery_attempt (delivery_id, fence, started_at, finished_at, outcome, description)
SELECT id, 100 + g, now(), now(), 'sent', '' FROM nurture_deliveries
 CROSS JOIN generate_series(1, 40000) g
"""


def test_no_figure_reads_a_large_table_through() -> None:
    """The deliveries and the hours have their own such test; these are the tries."""
    make_delivery()
    with connection.cursor() as cursor:
        cursor.execute(TRIES)
        cursor.execute("ANALYZE delivery_attempt")
        for statement, most in ((measures._TRIES, 30_000), (measures._QUANTILES, 2_000)):
            values: dict[str, Any] = {"most": most, "shares": [0.5]}
            cursor.execute(f"EXPLAIN {statement}", values)
            plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on delivery_attempt" not in plan, plan
    assert sum(count for _, _, count in measures.tries()) == measures.MOST
