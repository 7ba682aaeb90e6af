"""Durations go to an OTLP collector, over real HTTP, by no name of anybody (S14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpResponse
from django.test import Client
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from config import metrics
from delivery.models import Chat
from tests.integration.config.receivers import Receiver, receiving

pytestmark = pytest.mark.django_db


@pytest.fixture
def collector(settings: Any) -> Iterator[Receiver]:
    with receiving() as receiver:
        settings.OTEL_EXPORTER_OTLP_ENDPOINT = receiver.url
        metrics.meters.cache_clear()
        yield receiver
        metrics.meters.cache_clear()


def points(receiver: Receiver) -> dict[tuple[str, str], int]:
    """Of each histogram: (name, its attributes in words) → how often something was measured."""
    found = {}
    for path, body in receiver.arrived:
        assert path == "/v1/metrics"
        sent = ExportMetricsServiceRequest.FromString(body)
        for of_resource in sent.resource_metrics:
            who = {pair.key for pair in of_resource.resource.attributes}
            assert {"service.name", "deployment.environment.name"} <= who
            for metric in of_resource.scope_metrics[0].metrics:
                for point in metric.histogram.data_points:
                    values = (
                        str(getattr(pair.value, pair.value.WhichOneof("value")))
                        for pair in sorted(point.attributes, key=lambda pair: pair.key)
                    )
                    found[metric.name, " ".join(values)] = point.count
                if metric.name.startswith("process."):
                    found[metric.name, ""] = 1
    return found


def task_of(name: str) -> Any:
    """A message for an actor."""
    made: dramatiq.Message[None] = dramatiq.Message(
        queue_name="q", actor_name=name, args=(), kwargs={}, options={}
    )
    return dramatiq.MessageProxy(made)


def test_requests_tasks_and_the_clock_are_measured(collector: Receiver, settings: Any) -> None:
    client, broker = Client(), dramatiq.get_broker()
    for _ in range(2):
        client.get("/metrics")  # no token is set
    client.get("/nobody/rosa@example.org")
    middleware = metrics.Tasks()
    for error in (None, ValueError("Rosa")):
        message = task_of("tick")
        middleware.before_process_message(broker, message)
        Chat.objects.count()
        middleware.after_process_message(broker, message, exception=error)
    with pytest.raises(KeyError), metrics.task("watch"):
        raise KeyError("Rosa")

    middleware.after_worker_shutdown(broker, None)  # type: ignore[arg-type]

    counts = points(collector)
    assert counts["http.server.request.duration", "GET 404 metrics"] == 2
    assert counts["http.server.request.duration", "GET 404 "] == 1
    assert counts["telbot.task.duration", "done tick"] == 1
    assert counts["telbot.task.duration", "ValueError tick"] == 1
    assert counts["telbot.task.duration", "KeyError watch"] == 1
    assert counts["telbot.database.duration", "tick"] == 2
    assert {("process.memory.usage", ""), ("process.cpu.time", "")} <= set(counts)
    assert not any(b"rosa" in body.lower() for _, body in collector.arrived)


def test_without_a_collector_nothing_is_measured(settings: Any) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = ""
    metrics.meters.cache_clear()
    middleware, message = metrics.Tasks(), task_of("tick")

    assert metrics.meters() is None
    with pytest.raises(MiddlewareNotUsed):
        metrics.Requests(lambda request: HttpResponse())
    with metrics.task("watch"):
        middleware.before_process_message(dramatiq.get_broker(), message)
        middleware.after_process_message(dramatiq.get_broker(), message)
