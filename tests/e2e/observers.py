"""Loopback receivers of what telbot tells its operators: spans over OTLP, events of Sentry."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

UNPACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda body: body, "gzip": gzip.decompress, "br": brotli.decompress,
}  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    name: str
    trace_id: str
    process: str
    status: int
    attributes: dict[str, Any]


@dataclass
class Observer:
    """What arrived, raw and read."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Seen] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def settings(self) -> dict[str, str]:
        """Settings that tell it everything."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "SENTRY_DSN": f"http://publickey@127.0.0.1:{self.port}/1",
        }

    def await_that(self, condition: Callable[[], bool], *, seconds: float = 30) -> None:
        """Wait until what arrived makes it true."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout=seconds), (
                [(event.get("transaction"), event["tags"]) for event in self.events]
            )  # fmt: skip

    def named(self, name: str) -> list[Seen]:
        """Spans of that name."""
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> None:
        """One call."""
        with self.changed:
            self.bodies.append(body)
            if path.endswith("/v1/traces"):
                self.spans += _spans(body)
            elif path.endswith("/envelope/"):
                self.events += _events(body)
            self.changed.notify_all()


def _spans(body: bytes) -> Iterator[Seen]:
    for found in ExportTraceServiceRequest.FromString(body).resource_spans:
        who = {a.key: a.value.string_value for a in found.resource.attributes}
        for scope in found.scope_spans:
            for span in scope.spans:
                yield Seen(
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    process=who["service.instance.id"],
                    status=span.status.code,
                    attributes={a.key: _value(a.value) for a in span.attributes},
                )


def _value(value: Any) -> Any:
    return getattr(value, value.WhichOneof("value"))


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    lines = [line for line in body.split(b"\n") if line.strip()]
    for header, payload in zip(lines[1::2], lines[2::2], strict=False):
        if json.loads(header)["type"] == "event":
            yield json.loads(payload)


@contextmanager
def observing() -> Iterator[Observer]:
    """Serve an observer from threads of its own."""
    observer = Observer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            observer.take(self.path, UNPACK[self.headers.get("Content-Encoding", "")](body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    observer.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield observer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hanging() -> Iterator[int]:
    """A port that takes every connection and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]
