"""Spans, what of them leaves the process, and what of an error report does (S13, S15, S19)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import SpanKind, Status, StatusCode

from config import telemetry
from config.telemetry import sentry, tracing

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces are on, kept in memory; nothing of Django or psycopg is touched."""
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    on = tracing.Tracing.__new__(tracing.Tracing)
    on.tracer = provider.get_tracer("test")
    monkeypatch.setattr(telemetry, "_tracing", on)
    yield kept
    provider.shutdown()


def test_while_it_is_off_nothing_is_begun() -> None:
    with telemetry.span("x", parent=TRACE) as span, telemetry.continuing(TRACE), telemetry.silent():
        span.set(status=200)
        span.fail("TimeoutError")

        assert telemetry.traceparent() == ""
        assert "trace_id" not in telemetry.ids()
    assert not telemetry.is_on()


def test_a_row_carries_its_trace_on(spans: InMemorySpanExporter) -> None:
    with telemetry.span("tick"), telemetry.span("plan", parent=TRACE):
        kept = telemetry.traceparent()
    with telemetry.continuing(kept), telemetry.span("call", kind="client") as call:
        call.set(http_status=200)
        assert telemetry.ids()["trace_id"] == TRACE[3:35]

    plan, tick, sent = spans.get_finished_spans()
    assert len(kept) == telemetry.TRACE_LENGTH
    assert format(plan.context.trace_id, "032x") == TRACE[3:35] == kept[3:35]
    assert format(sent.parent.span_id, "016x") == kept[36:52]  # type: ignore[union-attr]
    assert plan.links[0].context.span_id == tick.context.span_id
    assert (sent.kind, sent.attributes) == (SpanKind.CLIENT, {"http_status": 200})


def test_what_is_played_leaves_nothing(spans: InMemorySpanExporter) -> None:
    with telemetry.span("backtest"), telemetry.silent(), telemetry.span("plan"):
        assert telemetry.traceparent() == ""

    assert [span.name for span in spans.get_finished_spans()] == ["backtest"]


def test_a_trace_that_is_none_begins_a_new_one(spans: InMemorySpanExporter) -> None:
    with telemetry.span("plan", parent="not a trace"):
        assert telemetry.traceparent()


def test_what_fails_says_its_class(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="Rosa"), telemetry.span("x"):
        raise ValueError("Rosa")

    (span,) = spans.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "ValueError")
    assert span.events == ()


def test_only_listed_attributes_leave_the_process(spans: InMemorySpanExporter) -> None:
    with telemetry.span("GET /rosa@school.example/") as span:
        made: Any = span._made  # type: ignore[attr-defined]
        made.set_attributes({
            "http.url": "http://x/?q=Rosa", "http.route": "admin/", "client.address": "192.0.2.1",
            "db.statement": "SELECT 1 WHERE mail = 'rosa@school.example'" + "x" * 500,
            "delivery_id": 7, "net.peer.name": "Rosa",
        })  # fmt: skip
        made.record_exception(ValueError("Rosa"))
        made.set_status(Status(StatusCode.ERROR, "ValueError: Rosa"))

    left = tracing.chosen(spans.get_finished_spans()[0])

    assert left.name == "GET /[address]/"
    assert dict(left.attributes or {}) == {
        "http.route": "admin/", "delivery_id": 7,
        "db.statement": ("SELECT 1 WHERE mail = '[address]'" + "x" * 500)[:300],
    }  # fmt: skip
    assert [dict(event.attributes or {}) for event in left.events] == [
        {"exception.type": "ValueError"}
    ]
    assert left.status.description == "ValueError"
    assert left.context == spans.get_finished_spans()[0].context


@pytest.mark.parametrize(
    ("name", "kind", "decision"),
    [
        ("SELECT", SpanKind.CLIENT, Decision.DROP),
        ("telegram sendMessage", SpanKind.CLIENT, Decision.RECORD_AND_SAMPLE),
        ("tick", SpanKind.CONSUMER, Decision.RECORD_AND_SAMPLE),
    ],
)
def test_nobodys_statement_begins_no_trace(name: str, kind: SpanKind, decision: Decision) -> None:
    assert tracing.Worth().should_sample(None, 1, name, kind).decision is decision


class Collector(SpanExporter):
    """One that counts how often it is asked, and answers as it is told."""

    asked = 0

    def __init__(self, answer: SpanExportResult) -> None:
        self.answer = answer

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.asked += 1
        return self.answer


def test_a_collector_that_is_away_is_left_alone_for_a_while() -> None:
    away = Collector(SpanExportResult.FAILURE)
    exporter = tracing.Chosen(away)

    assert [exporter.export([]) for _ in range(5)] == [SpanExportResult.FAILURE] * 5
    assert away.asked == 1


def test_at_the_end_of_a_process_no_batch_is_begun_late() -> None:
    slow = Collector(SpanExportResult.SUCCESS)
    exporter = tracing.Chosen(slow)
    exporter.export([])

    exporter.end_within(0)

    assert exporter.export([]) is SpanExportResult.FAILURE
    assert slow.asked == 1


def test_an_error_report_is_made_anew_of_a_few_keys() -> None:
    frame = {"function": "f", "lineno": 1, "vars": {"name": "Rosa"}, "context_line": "f()"}
    given: Any = {
        "event_id": "1", "release": "abc", "environment": "staging", "logger": "delivery.x",
        "transaction": "/x/{id}/", "user": {"email": "rosa@school.example"},
        "request": {"method": "GET", "url": "http://x/?q=Rosa", "cookies": {"s": "1"}},
        "extra": {"delivery_id": 7, "sys.argv": ["explain", "rosa@school.example"]},
        "breadcrumbs": {"values": [{"message": "Rosa"}]}, "server_name": "vm",
        "contexts": {"dramatiq": {"data": "Rosa"}, "trace": {"trace_id": "2", "data": "Rosa"}},
        "logentry": {"message": "sender.stream_held", "params": ["Rosa"]},
        "exception": {"values": [{
            "type": "UniqueViolation", "module": "psycopg.errors",
            "value": 'duplicate key "once"\nDETAIL: Key (name)=(Rosa)', "mechanism": None,
            "stacktrace": {"frames": [frame]},
        }]},
    }  # fmt: skip

    with telemetry.bound(request_id="r", journey_id=3):
        made: Any = sentry.scrub(given, {})

    assert "Rosa" not in str(made)
    assert "rosa" not in str(made)
    assert made["tags"] == {"request_id": "r", "journey_id": "3"}
    assert made["extra"] == {"delivery_id": 7}
    assert made["request"] == {"method": "GET"}
    assert made["exception"]["values"][0]["value"] == 'duplicate key "once"'
    assert made["exception"]["values"][0]["stacktrace"]["frames"] == [
        {"function": "f", "lineno": 1, "context_line": "f()"}
    ]
    assert made["contexts"] == {"trace": {"trace_id": "2"}}


@pytest.mark.parametrize("logger", ["django.security.DisallowedHost", "opentelemetry.sdk.x"])
def test_noise_is_not_reported(logger: str) -> None:
    assert sentry.scrub({"logger": logger}, {}) is None
