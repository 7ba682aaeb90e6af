"""What the work leaves to be followed by: the ids of its log lines, and its traces.

Every app may use this package; it knows none of them (docs/decisions/0014). Ids are context
variables, merged into each log line and error report. Traces are OpenTelemetry's: while
OTEL_EXPORTER_OTLP_ENDPOINT is empty nothing of it is imported and each call here costs a look at
one variable.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from structlog.contextvars import bind_contextvars, bound_contextvars, get_contextvars

from config.telemetry.scrubbing import words

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from config.telemetry.tracing import Tracing

__all__ = [
    "TRACE_LENGTH", "Span", "bind", "bound", "continuing", "flush", "ids", "is_on", "resource",
    "silent", "span", "start", "traceparent", "words",
]  # fmt: skip

TRACE_LENGTH = 55  # of a traceparent: https://www.w3.org/TR/trace-context/#traceparent-header

#: `with bound(journey_id=7):` every line within has it. `bind`: until something else is bound.
bound, bind = bound_contextvars, bind_contextvars


class Span(Protocol):
    """A part of a trace, while it runs."""

    def set(self, **attributes: str | int | float | bool) -> None:
        """Note what came of it; only what scrubbing.FIELDS lists is exported."""

    def fail(self, why: str) -> None:
        """It came to nothing; `why` is a code or the name of a class, never a message."""


class _NoSpan:
    def set(self, **attributes: str | int | float | bool) -> None:
        pass

    def fail(self, why: str) -> None:
        pass


_NO_SPAN: AbstractContextManager[Span] = nullcontext(_NoSpan())
_NOTHING: AbstractContextManager[None] = nullcontext()
_tracing: Tracing | None = None


def start(*, endpoint: str, environment: str) -> None:
    """Trace this process, to the OTLP collector at `endpoint`; nothing where that is empty.

    Safe to call twice.
    """
    global _tracing
    if endpoint and _tracing is None:
        from config.telemetry.tracing import Tracing

        _tracing = Tracing(endpoint=endpoint, environment=environment)


def resource(*, environment: str) -> Resource:
    """Who speaks: name, version, environment and process, alike for traces and metrics."""
    from config.telemetry.tracing import resource as made

    return made(environment=environment)


def is_on() -> bool:
    """Whether this process is traced."""
    return _tracing is not None


def span(
    name: str, *, kind: str = "internal", parent: str = "", **attributes: str | int | float | bool
) -> AbstractContextManager[Span]:
    """A part of the trace at hand, or of that of `parent`, a traceparent that a row has kept.

    `kind`: internal, server, client, producer or consumer. `name` is one of few constant names.
    """
    if _tracing is None or _tracing.is_silent:
        return _NO_SPAN
    return _tracing.span(name, kind=kind, parent=parent, attributes=attributes)


def continuing(trace: str) -> AbstractContextManager[None]:
    """What is done within belongs to the `trace` that a row has kept; nothing where it has none."""
    if _tracing is None or not trace:
        return _NOTHING
    return _tracing.continuing(trace)


def traceparent() -> str:
    """The trace at hand, to be kept in a row or sent along; empty where there is none."""
    return "" if _tracing is None or _tracing.is_silent else _tracing.traceparent()


def silent() -> AbstractContextManager[None]:
    """No spans within, and rows that are made have no trace: what is played is not the work."""
    return _NOTHING if _tracing is None else _tracing.silent()


def ids() -> dict[str, Any]:
    """The ids of the work at hand."""
    found = get_contextvars()
    if trace := traceparent():
        found |= {"trace_id": trace[3:35], "span_id": trace[36:52]}
    return found


def flush() -> None:
    """Send what waits, for a few seconds at most: where a process ends without Python's own end."""
    from config.telemetry import sentry

    sentry.flush()
    if _tracing is not None:
        _tracing.flush()
