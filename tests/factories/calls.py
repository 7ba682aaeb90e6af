"""Records of Google's log in the odd shapes that Google has given them over the years."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from attendance.google import Google
from attendance.sandbox import FakeGoogle, Fault, Record, serve, service_account_key
from attendance.sandbox.fake import Response
from attendance.sandbox.shapes import stamp

ADMIN = "admin@school.example"
LOG = "/admin/reports"
EXTERNAL = {"callerType": "KEY", "key": "HANGOUTS_EXTERNAL_OR_ANONYMOUS"}
# Counters of quality that real records carry and nobody here needs.
COUNTERS: dict[str, Any] = {
    "video_send_seconds": 0,
    "audio_recv_seconds": 5115,
    "network_rtt_msec_mean": 44,
    "network_transport_protocol": "udp",
    "screencast_recv_seconds": 12,
}


def activity(
    *,
    at: datetime | str,
    qualifier: int | None = 1,
    actor: Mapping[str, str] | None = None,
    customer: str = "C0sample",
    name: str = "call_ended",
    **parameters: str | int | bool,
) -> dict[str, Any]:
    """One record; numbers travel as text in `intValue`, as Google's do."""
    identity = {"time": at if isinstance(at, str) else stamp(at), "applicationName": "meet"}
    if qualifier is not None:
        identity["uniqueQualifier"] = str(qualifier)
    if customer:
        identity["customerId"] = customer
    body: dict[str, Any] = {
        "kind": "admin#reports#activity",
        "id": identity,
        "events": [{"type": "call", "name": name, "parameters": _containers(parameters)}],
    }
    return body | ({"actor": dict(actor)} if actor is not None else {})


def _containers(parameters: Mapping[str, str | int | bool]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for name, value in parameters.items():
        if isinstance(value, bool):
            made.append({"name": name, "boolValue": value})
        elif isinstance(value, int):
            made.append({"name": name, "intValue": str(value)})
        else:
            made.append({"name": name, "value": value})
    return made


@dataclass
class OddGoogle(FakeGoogle):
    """A Google with small pages, which it may also shuffle and say twice, withhold or refuse."""

    page_size: int = 1000
    shuffle: random.Random | None = None  # then each page also repeats the one before
    names_all: bool = False  # gives events of every name
    stops_before: int = 0  # the n-th request for a later page waits until `go_on`
    breaks_before: int = 0  # the n-th request for a later page is refused with `refusal`
    refusal: Fault = field(default_factory=lambda: Fault(LOG))
    stopped: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    _before: list[dict[str, Any]] = field(default_factory=list)
    _later_pages: int = 0

    def handle(
        self, method: str, path_with_query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer one request."""
        parts = urlsplit(path_with_query)
        if not parts.path.startswith(LOG):
            return super().handle(method, path_with_query, headers, body)
        query = dict(parse_qsl(parts.query)) | {"maxResults": str(self.page_size)}
        if self.names_all:
            query.pop("eventName", None)
        if "pageToken" not in query:
            self._before = []
        else:
            self._later_pages += 1
            if self._later_pages == self.stops_before:
                self.stopped.set()
                self.go_on.wait(timeout=60)
            if self._later_pages == self.breaks_before:
                self.faults.append(self.refusal)
        status, sent, content = super().handle(
            method, f"{parts.path}?{urlencode(query)}", headers, body
        )
        return status, sent, self._disturb(content) if status == 200 else content

    def _disturb(self, content: bytes) -> bytes:
        if self.shuffle is None:
            return content
        page = json.loads(content)
        items = page.get("items", [])
        page["items"] = [*items, *items[:2], *self._before]
        self._before = items
        self.shuffle.shuffle(page["items"])
        return json.dumps(page).encode()


@contextmanager
def google_of(fake: FakeGoogle) -> Iterator[Google]:
    """The real client, set up to read `fake` over HTTP; a failure is not tried again.

    It insists, so that a circuit which another test has opened does not matter.
    """
    with serve(fake) as url:
        key = service_account_key(f"{url}/token")
        yield Google(key=key, delegated_user=ADMIN, api_url=url, retries=0, insist=True)


def records(*bodies: dict[str, Any]) -> list[Record]:
    """These records, visible at once."""
    return [Record(body) for body in bodies]
