"""OpenTelemetry as telbot uses it. Imported only where an OTLP endpoint is set.

A collector that is away or hangs costs a background thread its time-out and nothing else: spans
wait in a bounded queue, and what does not fit in is dropped.
"""

from __future__ import annotations

import atexit
import math
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import psycopg
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.utils import (
    is_instrumentation_enabled,
    suppress_instrumentation,
    unwrap,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes, AttributeValue

from config.telemetry.scrubbing import FIELDS, clean

EXPORT_SECONDS = 2.0  # for one batch, tries included
DOWN_SECONDS = 10.0  # after a batch that came to nothing: the next ones are dropped at once
FLUSH_SECONDS = 3.0
QUEUE = 4096

#: What instrumentation of others may say beside our own fields. No URLs, addresses or headers.
CONVENTIONAL = frozenset({
    "http.method", "http.request.method", "http.route", "http.status_code",
    "http.response.status_code", "db.system", "db.system.name", "db.operation",
    "db.operation.name", "db.statement", "db.query.text", "db.redis.args_length",
    "error.type", "exception.type", "messaging.system", "messaging.destination.name",
})  # fmt: skip
STATEMENT_LENGTH = 300

_W3C = TraceContextTextMapPropagator()
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_DOORS = ("telegram ", "google ")


def resource(*, environment: str) -> Resource:
    """Who speaks. Render names its services; elsewhere OTEL_SERVICE_NAME may."""
    return Resource.create(
        {
            "service.name": os.environ.get("OTEL_SERVICE_NAME")
            or os.environ.get("RENDER_SERVICE_NAME")
            or "telbot",
            "service.version": os.environ.get("RENDER_GIT_COMMIT", ""),
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "deployment.environment.name": environment,
        }
    )


class Tracing:
    """The tracer of a process. Its threads are started anew in a child that is forked."""

    def __init__(self, *, endpoint: str, environment: str) -> None:
        self.exporter = Chosen(
            OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=EXPORT_SECONDS)
        )
        self.batches = BatchSpanProcessor(self.exporter, max_queue_size=QUEUE)
        provider = TracerProvider(
            sampler=ParentBased(root=Worth()), resource=resource(environment=environment)
        )
        provider.add_span_processor(self.batches)
        atexit.register(self.exporter.end_within, FLUSH_SECONDS)  # before the provider's own end
        trace.set_tracer_provider(provider)
        self.tracer = provider.get_tracer("telbot")
        DjangoInstrumentor().instrument()
        PsycopgInstrumentor().instrument()
        # The sender's own connections: it has one span for a commit, and not one more per look.
        unwrap(psycopg.AsyncConnection, "connect")
        RedisInstrumentor().instrument()

    @contextmanager
    def span(
        self, name: str, *, kind: str, parent: str, attributes: Mapping[str, AttributeValue]
    ) -> Iterator[_Span]:
        """See `telemetry.span`. Whence it was begun is kept as a link, where that is elsewhere."""
        here = trace.get_current_span().get_span_context()
        within = _extract(parent) if parent else None
        made = self.tracer.start_span(
            name,
            context=within,
            kind=_KINDS[kind],
            attributes=dict(attributes),
            links=[Link(here)] if within is not None and here.is_valid else None,
        )
        token = context.attach(trace.set_span_in_context(made, within))
        try:
            yield _Span(made)
        except BaseException as error:
            made.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            context.detach(token)
            made.end()

    def continuing(self, traceparent: str) -> AbstractContextManager[None]:
        """See `telemetry.continuing`."""
        return _attached(_extract(traceparent))

    @property
    def is_silent(self) -> bool:
        """Whether what is done just now is only played."""
        return not is_instrumentation_enabled()

    def silent(self) -> AbstractContextManager[None]:
        """See `telemetry.silent`."""
        return suppress_instrumentation()

    def traceparent(self) -> str:
        """See `telemetry.traceparent`."""
        here = trace.get_current_span().get_span_context()
        if not here.is_valid:
            return ""
        return f"00-{here.trace_id:032x}-{here.span_id:016x}-{here.trace_flags:02x}"

    def flush(self) -> None:
        """Send what waits; the process ends then."""
        self.exporter.end_within(FLUSH_SECONDS)
        self.batches.force_flush()


class _Span:
    def __init__(self, made: trace.Span) -> None:
        self._made = made

    def set(self, **attributes: str | int | float | bool) -> None:
        self._made.set_attributes(attributes)

    def fail(self, why: str) -> None:
        self._made.set_status(Status(StatusCode.ERROR, why))


def _extract(traceparent: str) -> Context:
    return _W3C.extract({"traceparent": traceparent}, context=Context())


@contextmanager
def _attached(there: Context) -> Iterator[None]:
    token = context.attach(there)
    try:
        yield
    finally:
        context.detach(token)


class Worth(Sampler):
    """Which traces are begun: none by a lone statement of a database.

    The clock and idle workers ask PostgreSQL and Redis several times a second; that is no work.
    """

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: trace.TraceState | None = None,
    ) -> SamplingResult:
        """Called for a span without a parent."""
        lone = kind is SpanKind.CLIENT and not name.startswith(_DOORS)
        return SamplingResult(
            Decision.DROP if lone else Decision.RECORD_AND_SAMPLE, attributes, trace_state
        )

    def get_description(self) -> str:
        """For the SDK's own output."""
        return "work of telbot"


class Chosen(SpanExporter):
    """Hands on what may leave the process, and nothing for a while after the collector failed."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._down_until = 0.0
        self._ends_at = math.inf

    def end_within(self, seconds: float) -> None:
        """The process ends: begin no batch later than so many seconds from now."""
        self._ends_at = time.monotonic() + seconds

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called in the background thread, and at the process's end."""
        if not self._down_until <= time.monotonic() < self._ends_at:
            return SpanExportResult.FAILURE
        result = self._inner.export([chosen(span) for span in spans])
        if result is not SpanExportResult.SUCCESS:
            self._down_until = time.monotonic() + DOWN_SECONDS
        return result

    def shutdown(self) -> None:
        """Called once, after the last batch."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


def chosen(span: ReadableSpan) -> ReadableSpan:
    """The same span with the attributes that may leave the process, and no words of an error."""
    return ReadableSpan(
        name=clean(span.name),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes(span.attributes),
        events=[_event(event) for event in span.events],
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        instrumentation_scope=span.instrumentation_scope,
        status=_status(span.status),
        start_time=span.start_time,
        end_time=span.end_time,
    )


def _attributes(given: Attributes) -> dict[str, AttributeValue]:
    return {
        name: clean(value)[:STATEMENT_LENGTH] if isinstance(value, str) else value
        for name, value in (given or {}).items()
        if name in FIELDS or name in CONVENTIONAL
    }


def _event(event: Event) -> Event:
    return Event(clean(event.name), _attributes(event.attributes), event.timestamp)


def _status(status: Status) -> Status:
    """Our own say a class or a code; others say the error's words, of which the class is kept."""
    if status.status_code is not StatusCode.ERROR:
        return Status(status.status_code)
    kind = (status.description or "").partition(":")[0]
    return Status(StatusCode.ERROR, kind if kind.isidentifier() else None)
