"""A Google for local use: token endpoint, Meet log and Calendar over records in memory.

`FakeGoogle.handle` answers one request and knows no server, so that any process can mount it;
`serve` puts it on a loopback port of its own.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from attendance.domain.records import parse_time
from attendance.sandbox.shapes import Record

Response = tuple[int, dict[str, str], bytes]

_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_ACTIVITIES = "/admin/reports/v1/activity/users/"
_CALENDARS = "/calendar/v3/calendars/"


@dataclass
class Fault:
    """The next `times` requests whose path contains `path` fail like this."""

    path: str
    status: int = 503
    reason: str = "backendError"
    times: int = 1
    hang_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None


@dataclass
class FakeGoogle:
    """The state of the fake and its answers. Safe for threads."""

    records: list[Record] = field(default_factory=list)
    calendars: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)  # the calendars' own names
    zones: dict[str, str] = field(default_factory=dict)  # and their time zones
    clock: Callable[[], datetime] | None = None  # what is not yet visible then, is not shown
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    claims: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def handle(
        self, method: str, path_with_query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer one request."""
        parts = urlsplit(path_with_query)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        fault = self._take_fault(parts.path, path_with_query)
        if fault is not None:
            time.sleep(fault.hang_seconds)
            return _error(fault.status, fault.reason, extra=fault.headers, body=fault.body)
        if method == "POST" and parts.path == "/token":
            return self._token(body)
        if not _header(headers, "authorization").startswith("Bearer "):
            return _error(401, "authError")
        if parts.path.startswith(_ACTIVITIES) and parts.path.endswith("/applications/meet"):
            return self._activities(query)
        if parts.path.startswith(_CALENDARS) and parts.path.endswith("/events"):
            name = parts.path.removeprefix(_CALENDARS).removesuffix("/events")
            return self._events(unquote(name), query)
        return _error(404, "notFound")

    def _take_fault(self, path: str, whole: str) -> Fault | None:
        with self._lock:
            self.requests.append(whole)
            for fault in self.faults:
                if fault.times > 0 and fault.path in path:
                    fault.times -= 1
                    return fault
        return None

    def _token(self, body: bytes) -> Response:
        form = parse_qs(body.decode())
        segments = form.get("assertion", [""])[0].split(".")
        if len(segments) != 3:
            return _error(400, "invalid_grant", body={"error": "invalid_grant"})
        padded = segments[1] + "=" * (-len(segments[1]) % 4)
        with self._lock:
            self.claims.append(json.loads(base64.urlsafe_b64decode(padded)))
            number = len(self.claims)
        return _ok({"access_token": f"token-{number}", "expires_in": 3600, "token_type": "Bearer"})

    def _activities(self, query: Mapping[str, str]) -> Response:
        now = self.clock() if self.clock else None
        since, until = query.get("startTime"), query.get("endTime")
        keyed = []
        for record in self.records:
            at = parse_time(record.body["id"]["time"])
            hidden = now is not None and record.visible_at is not None and record.visible_at > now
            outside = (since and at < parse_time(since)) or (until and at >= parse_time(until))
            if not (hidden or outside) and _named(record.body, query.get("eventName")):
                keyed.append((at, record.body["id"].get("uniqueQualifier", ""), record.body))
        keyed.sort(key=lambda row: row[:2], reverse=True)
        size = min(int(query.get("maxResults", 1000)), 1000)
        if "pageToken" in query:
            after = _read_token(query["pageToken"])
            keyed = [row for row in keyed if (_microseconds(row[0]), row[1]) < after]
        page: dict[str, Any] = {"kind": "admin#reports#activities"}
        if keyed:
            page["items"] = [row[2] for row in keyed[:size]]
        if len(keyed) > size:
            last = keyed[size - 1]
            page["nextPageToken"] = f"A:{_microseconds(last[0])}:{last[1]}"
        return _ok(page)

    def _events(self, calendar_id: str, query: Mapping[str, str]) -> Response:
        if calendar_id not in self.calendars:
            return _error(404, "notFound")
        found = [
            event
            for event in self.calendars[calendar_id]
            if _in_window(event, query)
            and (event["status"] != "cancelled" or query.get("showDeleted") == "true")
        ]
        found.sort(key=lambda event: (_edge(event, "start") or "", event["id"]))
        first, size = int(query.get("pageToken", 0)), int(query.get("maxResults", 250))
        page: dict[str, Any] = {
            "kind": "calendar#events",
            "summary": self.titles.get(calendar_id, ""),
            "timeZone": self.zones.get(calendar_id, ""),
            "items": found[first : first + size],
        }
        if first + size < len(found):
            page["nextPageToken"] = str(first + size)
        return _ok(page)


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for key, value in headers.items() if key.lower() == name), "")


def _named(body: Mapping[str, Any], name: str | None) -> bool:
    return name is None or any(event.get("name") == name for event in body.get("events", ()))


def _microseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000)


def _read_token(token: str) -> tuple[int, str]:
    _, at, qualifier = token.split(":", 2)
    return int(at), qualifier


def _edge(event: Mapping[str, Any], name: str) -> str | None:
    value = event.get(name) or event.get("originalStartTime") or {}
    text = value.get("dateTime") or value.get("date")
    return str(text) if text else None


def _in_window(event: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    """timeMin looks at the end, timeMax at the start; both are exclusive."""
    start, end = _edge(event, "start"), _edge(event, "end")
    if start is None or end is None:
        return True
    after = "timeMin" not in query or parse_time(end) > parse_time(query["timeMin"])
    return after and ("timeMax" not in query or parse_time(start) < parse_time(query["timeMax"]))


def _ok(page: Mapping[str, Any]) -> Response:
    return 200, dict(_JSON), json.dumps(page).encode()


def _error(
    status: int,
    reason: str,
    *,
    extra: Mapping[str, str] | None = None,
    body: Mapping[str, Any] | None = None,
) -> Response:
    detail = {"domain": "global", "reason": reason, "message": reason}
    page = body or {"error": {"code": status, "message": reason, "errors": [detail]}}
    return status, {**_JSON, **(extra or {})}, json.dumps(page).encode()


@cache
def _private_key() -> str:
    """An RSA key for this process: to make one takes longer than a whole reading of a class."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()


def service_account_key(token_uri: str) -> dict[str, str]:
    """Make a service account key that asks for its tokens at `token_uri`."""
    return {
        "type": "service_account",
        "project_id": "telbot-local",
        "private_key_id": "local",
        "private_key": _private_key(),
        "client_email": "telbot@telbot-local.iam.gserviceaccount.com",
        "client_id": "100000000000000000001",
        "token_uri": token_uri,
    }


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGoogle
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.fake.handle(
            self.command, self.path, dict(self.headers.items()), body
        )
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Stay silent; the fake keeps its requests itself."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, as one that timed out does, is no error here."""


@contextmanager
def serve(fake: FakeGoogle, port: int = 0) -> Iterator[str]:
    """Serve `fake` on a loopback port (0: a free one) for the block; yield its root URL."""
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
