"""Everything a machine may ask how telbot does, from a bounded number of cheap statements.

The tables are asked, not this process: so it does not matter how many processes there are, and
which of them answers. Names are a promise (docs/operations/monitoring.md): dashboards and alert
rules lean on them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Count

from attendance.domain.evaluation import Share as AuditShare
from attendance.google_errors import Failure
from attendance.selectors import figures as attendance
from delivery import measures
from delivery.models import Scope
from delivery.services.gates import BREAKER
from nurture.domain import figures as rules
from nurture.domain.alerts import CATALOGUE, Code
from nurture.domain.exposition import Sample, sample
from nurture.models import AlertEpisode, Job
from nurture.services import figures
from nurture.services.figures import Standing

#: The ends of a delivery; all else that is counted is of journeys, but for `heard`.
ENDS = (
    "sent", "unknown", "dead", "failed", "refused", "expired", "cancelled", "skipped",
)  # fmt: skip
HEARD = "heard"
OWN_ERRORS = {"delivery": ("unknown", "failed", "dead"), "engine": ("engine_error", "step_budget")}
#: Tries that say nothing about the message: no answer, or an error of Telegram's own.
VAIN = frozenset({"not_sent", "unknown"})
TOO_MANY = 429
Tries = Sequence[tuple[str, int, int]]  # outcome, HTTP status, how many
Readings = Sequence[tuple[str, str, int]]  # source, state, how many

MEANINGS: Mapping[str, str] = {
    "telbot_deliveries_ended": "Deliveries that came to their end in the window, by end",
    "telbot_delivery_success_ratio": "Sent, of all that was meant to arrive and ended",
    "telbot_error_ratio": "Gone wrong by our fault, of all that was tried or given up",
    "telbot_journeys": "Journeys that started or ended in the window, by what happened",
    "telbot_journeys_completed_ratio": "Journeys that came to an end their sequence wants",
    "telbot_activation_accuracy_ratio": "Journeys whose cause was not taken back",
    "telbot_activations_per_day": "Journeys started a day, over seven days",
    "telbot_replies_heard": "Words and buttons of learners in the window, without commands",
    "telbot_engagement_ratio": "Words and buttons of learners for each message that arrived",
    "telbot_correlation_known_ratio": "People's devices in calls that belong to a learner",
    "telbot_correlation_audit_ratio": "Outcomes that staff found right, of those they looked at",
    "telbot_correlation_audited": "Outcomes that staff looked at in eight weeks",
    "telbot_queue_due": "Deliveries due and not out, counted to 10,001 for each stream",
    "telbot_queue_oldest_due_seconds": "How long the oldest due delivery of a stream has been due",
    "telbot_late_seconds": "How late the oldest delivery is that no closed gate holds back",
    "telbot_queue_latency_seconds": "From when a message might go to its try, of the newest tries",
    "telbot_in_flight": "Deliveries that a worker holds",
    "telbot_unknown_deliveries": "Deliveries that cannot be known, counted to 10,001",
    "telbot_dead_deliveries": "Deliveries that were given up, counted to 10,001",
    "telbot_poison": "Deliveries and updates that killed what handled them",
    "telbot_telegram_call_seconds": "How long Telegram took to answer, of the newest tries",
    "telbot_telegram_tries": "Tries of fifteen minutes, by outcome and HTTP status (0: no answer)",
    "telbot_updates_waiting": "Updates of Telegram that are not handled",
    "telbot_updates_oldest_seconds": "How long the oldest update has waited",
    "telbot_gate_closed": "Whether a gate holds its deliveries back",
    "telbot_breaker_open": "Whether an API is left in peace",
    "telbot_google_reading_age_seconds": "Since the newest complete reading of Google ended",
    "telbot_google_reading_seconds": "How long the newest complete reading took",
    "telbot_google_readings": "Readings of a day, by how they ended",
    "telbot_google_lag_seconds": "95 of 100 of Google's records are there after so long",
    "telbot_reviews_open": "Questions about attendance that wait for staff",
    "telbot_tasks_open": "Tasks that wait for staff",
    "telbot_job_failing": "Whether a nightly job failed last, or did not run",
    "telbot_audit_findings": "Rows that the nightly audit found not right, counted to 10,001",
    "telbot_process_last_seen_seconds": "Since a kind of process was seen",
    "telbot_uptime_ratio": "Minutes of seven days in which a kind of process was seen",
    "telbot_errors": "What went wrong in the window by our own fault, by component",
    "telbot_component_error_ratio": "What came to nothing, of all that a component did of late",
    "telbot_switch_on": "Whether a switch is on",
    "telbot_rollout_ratio": "The share of learners who take part",
    "telbot_alerts_open": "Alerts that stand, by code",
    "telbot_alerts_silenced": "Whether nobody is told of alerts now",
    "telbot_database_bytes": "Size of the database",
    "telbot_database_connections": "Connections to the database",
    "telbot_database_oldest_transaction_seconds": "Age of the oldest open transaction",
    "telbot_database_roundtrip_seconds": "How long the database took for the least question",
    "telbot_scrape_seconds": "How long it took to gather all this",
}


def collect(*, now: datetime) -> list[Sample]:
    """Everything, as of `now`; writes nothing but switches that were never set."""
    began = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    roundtrip = time.monotonic() - began
    stands, past = figures.standing(now=now), figures.windows(now=now)
    tries, readings = measures.tries(), attendance.readings_lately(now=now)
    found = [
        *_of_windows(past), *_of_queues(stands), *_of_tries(tries), *_of_google(stands, readings),
        *_of_people(stands), *_of_night(stands), *_of_processes(stands), *_of_load(stands),
        *_of_alerts(stands), *_errors(past), *_error_ratios(past["24h"], tries, readings),
        sample("telbot_database_roundtrip_seconds", roundtrip),
    ]  # fmt: skip
    return [*found, sample("telbot_scrape_seconds", time.monotonic() - began)]


def _of_windows(past: Mapping[str, rules.Counts]) -> Iterator[Sample]:
    ratios = {
        "telbot_delivery_success_ratio": rules.success,
        "telbot_error_ratio": rules.errors,
        "telbot_journeys_completed_ratio": rules.completion,
        "telbot_activation_accuracy_ratio": rules.activation_accuracy,
        "telbot_engagement_ratio": rules.engagement,
    }
    for window, counts in past.items():
        for end in ENDS:
            yield sample("telbot_deliveries_ended", counts.get(end, 0), window=window, end=end)
        for what in sorted({"started", "completed", *counts} - {*ENDS, HEARD}):
            yield sample("telbot_journeys", counts.get(what, 0), window=window, what=what)
        yield sample("telbot_replies_heard", counts.get(HEARD, 0), window=window)
        for name, measure in ratios.items():
            yield from _ratio(name, measure(counts), window=window)
    started = past["7d"].get("started", 0)
    yield sample("telbot_activations_per_day", started / figures.WEEK)


def _ratio(name: str, share: rules.Share | AuditShare, **labels: str) -> Iterator[Sample]:
    """A share of nothing is not known."""
    if share.of:
        yield sample(name, share.hits / share.of, **labels)


def _of_queues(stands: Standing) -> Iterator[Sample]:
    for queue in stands.queues:
        lane = "reply" if queue.key == "replies" else "bulk"
        if queue.scope == Scope.STREAM:
            labels = {"stream": queue.key, "lane": lane}
            oldest = (stands.now - queue.oldest).total_seconds() if queue.oldest else 0.0
            yield sample("telbot_queue_due", queue.due, **labels)
            yield sample("telbot_queue_oldest_due_seconds", oldest, **labels)
        if lane == "bulk":
            yield sample("telbot_gate_closed", int(queue.closed), gate=queue.key)
    yield sample("telbot_late_seconds", stands.late_seconds)
    yield sample("telbot_unknown_deliveries", stands.delivery.unknown)
    yield sample("telbot_dead_deliveries", stands.delivery.dead)
    yield sample("telbot_poison", stands.delivery.poison)
    open_breaker = any(queue.closed for queue in stands.queues if queue.key == BREAKER)
    yield sample("telbot_breaker_open", int(open_breaker), api="telegram")


def _of_tries(tries: Tries) -> Iterator[Sample]:
    for outcome, status, count in tries:
        labels = {"outcome": outcome or "open", "status": str(status)}
        yield sample("telbot_telegram_tries", count, **labels)
    for what, found in measures.quantiles().items():
        for share, seconds in found.items():
            if what == "call":
                yield sample("telbot_telegram_call_seconds", seconds, quantile=f"{share:g}")
            else:
                yield sample(
                    "telbot_queue_latency_seconds", seconds, lane=what, quantile=f"{share:g}"
                )


def _of_google(stands: Standing, readings: Readings) -> Iterator[Sample]:
    names = {
        "telbot_google_reading_seconds": "seconds", "telbot_google_lag_seconds": "lag_seconds",
    }  # fmt: skip
    for reading in stands.attendance.readings:
        if reading.complete_at:
            age = (stands.now - reading.complete_at).total_seconds()
            yield sample("telbot_google_reading_age_seconds", age, source=reading.source)
        for name, attribute in names.items():
            value = getattr(reading, attribute)
            if value is not None:
                yield sample(name, value, source=reading.source)
    left = any(r.failure == Failure.CIRCUIT_OPEN for r in stands.attendance.readings)
    yield sample("telbot_breaker_open", int(left), api="google")
    for source, state, count in readings:
        yield sample("telbot_google_readings", count, source=source, state=state)


def _of_people(stands: Standing) -> Iterator[Sample]:
    known = rules.Share(stands.attendance.known, stands.attendance.everybody)
    yield from _ratio("telbot_correlation_known_ratio", known)
    yield from _ratio("telbot_correlation_audit_ratio", stands.audit)
    yield sample("telbot_correlation_audited", stands.audit.of)
    yield sample("telbot_reviews_open", stands.attendance.open_reviews)
    yield sample("telbot_tasks_open", stands.nurture.open_tasks)
    yield sample("telbot_rollout_ratio", stands.switches.percent / 100)
    for name in ("attendance", "deliver"):
        yield sample("telbot_switch_on", int(getattr(stands.switches, name)), switch=name)


def _of_night(stands: Standing) -> Iterator[Sample]:
    failing = {trouble.name for trouble in stands.troubles}
    nightly = Job.objects.filter(hour__isnull=False).order_by("name")
    for name in nightly.values_list("name", flat=True):
        yield sample("telbot_job_failing", int(name in failing), name=name)
    yield sample("telbot_audit_findings", stands.nurture.findings)


def _of_processes(stands: Standing) -> Iterator[Sample]:
    for name, alive in stands.delivery.processes.items():
        yield sample("telbot_process_last_seen_seconds", alive.seconds_ago, process=name)
        yield from _ratio("telbot_uptime_ratio", rules.Share(alive.minutes, alive.of), process=name)


def _of_load(stands: Standing) -> Iterator[Sample]:
    load, waits = measures.load(), stands.delivery.waiting_since
    yield sample("telbot_in_flight", load.in_flight)
    yield sample("telbot_updates_waiting", load.updates_waiting)
    waited = (stands.now - waits).total_seconds() if waits else 0.0
    yield sample("telbot_updates_oldest_seconds", waited)
    yield sample("telbot_database_bytes", load.bytes)
    yield sample("telbot_database_connections", load.connections)
    yield sample("telbot_database_oldest_transaction_seconds", load.oldest_transaction_seconds)


def _of_alerts(stands: Standing) -> Iterator[Sample]:
    rows = AlertEpisode.objects.filter(opened_at__isnull=False, resolved_at__isnull=True)
    for code, count in rows.values_list("code").annotate(n=Count("pk")).order_by("code"):
        severity = CATALOGUE[Code(code)].severity.value
        yield sample("telbot_alerts_open", count, code=code, severity=severity)
    yield sample("telbot_alerts_silenced", int(stands.nurture.silenced_until is not None))


def _errors(past: Mapping[str, rules.Counts]) -> Iterator[Sample]:
    """What went wrong in our own tables, by the part whose fault it is."""
    for window, counts in past.items():
        for component, names in OWN_ERRORS.items():
            wrong = sum(counts.get(name, 0) for name in names)
            yield sample("telbot_errors", wrong, component=component, window=window)


def _error_ratios(day: rules.Counts, tries: Tries, readings: Readings) -> Iterator[Sample]:
    """The same as a share, and how often the others answer with nothing of use."""
    ended = sum(count for what, count in day.items() if what not in {*ENDS, HEARD, "started"})
    crashed = sum(day.get(name, 0) for name in OWN_ERRORS["engine"])
    vain = sum(n for outcome, status, n in tries if outcome in VAIN or status == TOO_MANY)
    failed = sum(n for _, state, n in readings if state in {"failed", "config_error"})
    for component, share in (
        ("delivery", rules.errors(day)),
        ("engine", rules.Share(crashed, ended)),
        ("telegram", rules.Share(vain, sum(n for *_, n in tries))),
        ("google", rules.Share(failed, sum(n for *_, n in readings))),
    ):
        yield from _ratio("telbot_component_error_ratio", share, component=component)
