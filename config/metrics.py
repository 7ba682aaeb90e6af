"""How long requests, tasks and the database take in this process, pushed over OTLP.

What the business asks is at /metrics, from the tables (nurture/services/metrics.py); here is what
only the process itself knows. While OTEL_EXPORTER_OTLP_ENDPOINT is empty we import nothing of
OpenTelemetry, and nothing is measured.
"""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import dramatiq
from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.http import HttpRequest, HttpResponse

from config import telemetry

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Histogram, Observation
    from opentelemetry.sdk.metrics import MeterProvider

EXPORT_SECONDS = 10
#: Seconds; from a cached page to a task that reads weeks of Google's log.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
KIB = 1024


@dataclass(frozen=True, slots=True)
class Meters:
    """What is measured: a histogram of seconds each."""

    provider: MeterProvider
    requests: Histogram
    tasks: Histogram
    database: Histogram


@cache
def meters() -> Meters | None:
    """The meters of this process, made where they are first asked for: after any fork.

    None where OTLP is off.
    """
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return None
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(
        endpoint=f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/metrics", timeout=EXPORT_SECONDS
    )
    provider = MeterProvider(
        [PeriodicExportingMetricReader(exporter)],
        resource=telemetry.resource(environment=settings.ENVIRONMENT),
    )
    meter = provider.get_meter("telbot")
    meter.create_observable_gauge("process.memory.usage", [_memory], "By", "Most memory used")
    meter.create_observable_counter("process.cpu.time", [_cpu], "s", "Time on a processor")

    def histogram(name: str, said: str) -> Histogram:
        return meter.create_histogram(name, "s", said, explicit_bucket_boundaries_advisory=BOUNDS)

    return Meters(
        provider,
        requests=histogram("http.server.request.duration", "Requests of the web process"),
        tasks=histogram("telbot.task.duration", "Tasks, and what the clock does"),
        database=histogram("telbot.database.duration", "In the database, by request or task"),
    )


def _memory(_: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    yield Observation(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB)


def _cpu(_: CallbackOptions) -> Iterable[Observation]:
    from opentelemetry.metrics import Observation

    yield Observation(time.process_time())


class _Stopwatch:
    """How long the database took in all, as a wrapper of Django's connection."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, execute: Callable[..., Any], *call: Any) -> Any:
        began = time.monotonic()
        try:
            return execute(*call)
        finally:
            self.seconds += time.monotonic() - began


@contextmanager
def measured(found: Meters, what: str) -> Iterator[dict[str, str | int]]:
    """Measure a task within. Attributes are added to what is given; they name nobody."""
    attributes: dict[str, str | int] = {"outcome": "done"}
    began, database = time.monotonic(), _Stopwatch()
    try:
        with connection.execute_wrapper(database):
            yield attributes
    except BaseException as error:
        attributes["outcome"] = type(error).__name__
        raise
    finally:
        named: Mapping[str, str | int] = {"task": what, **attributes}
        found.tasks.record(time.monotonic() - began, named)
        found.database.record(database.seconds, {"task": what})


@contextmanager
def task(what: str) -> Iterator[None]:
    """Measure what the clock does by itself; nothing where OTLP is off."""
    found = meters()
    if found is None:
        yield
        return
    with measured(found, what):
        yield


class Requests:
    """Middleware: how long each request took, by the pattern of its address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and note how long it took."""
        found = meters()
        if found is None:
            return self.get_response(request)
        began, database = time.monotonic(), _Stopwatch()
        with connection.execute_wrapper(database):
            response = self.get_response(request)
        route = request.resolver_match.route if request.resolver_match else ""
        attributes = {"http.request.method": str(request.method), "http.route": route}
        status = {"http.response.status_code": response.status_code}
        found.requests.record(time.monotonic() - began, {**attributes, **status})
        found.database.record(database.seconds, {"http.route": route})
        return response


class Tasks(dramatiq.Middleware):
    """How long each task took, and whether it failed."""

    def __init__(self) -> None:
        self._at_work = threading.local()

    def before_process_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """Called in the worker's thread."""
        found = meters()
        if found is not None:
            self._at_work.measuring = measured(found, message.actor_name)
            self._at_work.attributes = self._at_work.measuring.__enter__()

    def after_process_message(
        self,
        broker: dramatiq.Broker,
        message: Any,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        """Called in the same thread."""
        measuring = getattr(self._at_work, "measuring", None)
        if measuring is not None:
            self._at_work.measuring = None
            if exception is not None:
                self._at_work.attributes["outcome"] = type(exception).__name__
            measuring.__exit__(None, None, None)

    def after_skip_message(self, broker: dramatiq.Broker, message: Any) -> None:
        """The task was too old to be run."""
        self.after_process_message(broker, message)

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """A worker's process ends without Python's own end, so it sends here what waits."""
        found = meters()
        if found is not None:
            found.provider.shutdown()
