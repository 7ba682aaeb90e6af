"""The funnel of a version: equal to a recount of every row, by an index, in two statements."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from delivery.models import Delivery
from delivery.services import drop_months
from nurture.domain.funnel import State
from nurture.models import Decision, Journey, Sequence
from nurture.services.insight import count_runs, runs_at
from tests.factories import nurture as make
from tests.factories.runs import STEPS, make_runs

pytestmark = pytest.mark.django_db
SINCE = make.CLASS_STARTS + timedelta(days=20)  # in the midst of 10,000 runs ten minutes apart
ENDS = {"expired": "skipped", "cancelled": "skipped", "skipped": "skipped", "dead": "failed"}
PASSED_OVER = ("condition_false", "missed_in_pause", "variable_missing")


def recount(sequence: Sequence, since: datetime) -> dict[str, Any]:
    """Every journey, decision and delivery looked at one by one, in Python."""
    deliveries = {row.pk: row for row in Delivery.objects.all()}
    said: dict[int, dict[str, list[Decision]]] = defaultdict(lambda: defaultdict(list))
    last: dict[int, str] = {}
    for row in Decision.objects.filter(sequence=sequence).order_by("pk"):
        assert row.journey_id is not None
        said[row.journey_id][row.step_key].append(row)
        last[row.journey_id] = row.step_key
    states: Counter[tuple[str, str, str]] = Counter()
    ends: Counter[tuple[str, str]] = Counter()
    waits: dict[str, list[timedelta]] = defaultdict(list)
    for journey in Journey.objects.filter(version=sequence.published_version):
        is_open = journey.status in {"active", "paused"}
        if journey.is_test or (journey.started_at < since and not is_open):
            continue
        if journey.status == "exited":
            ends[last.get(journey.pk, ""), journey.exit_reason] += 1
        for step, rows in said[journey.pk].items():
            stands_here = is_open and journey.step_key == step
            telling = [row for row in rows if row.code in ("step_planned", *PASSED_OVER)]
            state, why = judge(telling, stands_here, deliveries)
            states[step, state, why] += 1
            if state == "sent":
                assert telling[-1].delivery_id is not None
                sent_at = deliveries[telling[-1].delivery_id].sent_at
                assert sent_at is not None
                waits[step].append(sent_at - rows[0].decided_at)
    return {"states": states, "ends": ends, "waits": waits}


def judge(
    telling: list[Decision], stands_here: bool, deliveries: dict[int, Delivery]
) -> tuple[str, str]:
    """What became of one journey at one step, and why."""
    code = telling[-1].code if telling else ""
    if code == "step_planned":
        assert telling[-1].delivery_id is not None
        delivery = deliveries[telling[-1].delivery_id]
        if delivery.status in {"sent", "unknown"}:
            return delivery.status, ""
        if delivery.status in {"failed", "dead"}:
            return "failed", delivery.reason
        if stands_here or delivery.status == "pending":
            return "waiting", ""
        return ENDS[delivery.status], delivery.reason
    if stands_here:
        return "waiting", ""
    return ("skipped", code) if code else ("passed", "")


def test_the_figures_of_10000_runs_equal_a_recount() -> None:
    """P25: each state, reason, end and median; of journeys since a day, and all under way."""
    sequence = make_runs(runs=10_000)
    assert sequence.published_version is not None
    version = sequence.published_version.pk

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = count_runs(version_id=version, since=SINCE)

    counted = recount(sequence, SINCE)
    states: Counter[tuple[str, str, str]] = Counter()
    for key, step in found.steps.items():
        told = {State.SKIPPED: step.skipped_for, State.FAILED: step.failed_for}
        for state, journeys in step.states.items():
            for why, number in told.get(state, {"": journeys}).items():
                states[key, state.value, why] = number
    ends = {("", why): count for why, count in found.left_at_once.items()} | {
        (key, why): n for key, step in found.steps.items() for why, n in step.left_for.items()
    }
    assert states == counted["states"]
    assert {state for _, state, _ in states} == {state.value for state in State}
    assert ends == dict(counted["ends"])
    for key in STEPS:
        assert found.steps[key].median_wait == median(counted["waits"][key])
    assert 5_000 < found.entered < 9_900
    assert len(queries) == 2


def test_each_number_has_the_list_behind_it() -> None:
    """P25: as many rows as the number says, and of no other state."""
    sequence = make_runs(runs=500)
    assert sequence.published_version is not None
    version, long_ago = sequence.published_version.pk, make.CLASS_STARTS
    found = count_runs(version_id=version, since=long_ago)
    step = found.of("later")

    for state, number in [*step.states.items(), ("reached", step.reached), ("left", step.left)]:
        page = runs_at(version_id=version, since=long_ago, step="later", state=state, limit=7)
        assert page.total == number
        assert len(page.rows) == min(7, number)
        assert {row.step_key for row in page.rows} == {"later"}
        if state in set(State):
            assert {row.state for row in page.rows} == {state}
    why, number = next(iter(step.skipped_for.items()))
    for_one_reason = runs_at(
        version_id=version, since=long_ago, step="later", state=State.SKIPPED, why=why
    )
    assert for_one_reason.total == number
    of_all = {
        "begun": found.entered,
        "open": found.statuses["active"] + found.statuses["paused"],
        "completed": found.statuses["completed"],
        "left": found.left_for.total(),
    }
    for state, number in of_all.items():
        assert runs_at(version_id=version, since=long_ago, step="", state=state).total == number


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A plan and everything beneath it."""
    return [plan] + [node for part in plan.get("Plans", ()) for node in nodes(part)]


def test_a_version_is_counted_without_reading_the_others() -> None:
    """P25: 100 runs beside 10,000 of another sequence: no large table is scanned."""
    drop_months(before=make.NOW + timedelta(days=9_000))  # of other tests, empty
    make_runs(runs=10_000)
    small = make_runs(runs=100, slug="few-runs")
    assert small.published_version is not None
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    with CaptureQueriesContext(connection) as queries:
        found = count_runs(version_id=small.published_version.pk, since=make.CLASS_STARTS)
    assert found.entered == 99

    scanned = set()
    with connection.cursor() as cursor:
        for query in queries:
            cursor.execute("EXPLAIN (FORMAT JSON) " + query["sql"])
            plan = cursor.fetchone()[0]
            plan = json.loads(plan) if isinstance(plan, str) else plan
            scanned |= {
                node["Relation Name"]
                for node in nodes(plan[0]["Plan"])
                if node["Node Type"] == "Seq Scan"
            }
    assert scanned == set()
