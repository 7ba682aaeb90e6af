"""Each call of the web process has an id, which its log lines and what it rings for bear."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from config import telemetry

HEADER = "X-Request-ID"
#: Where the server and Django's own records find them (`config.serving`, `config.logs`).
IDS, ROUTE = "telbot.ids", "telbot.route"

# A caller's id is taken over only as a UUID: anything else could be somebody's data.
_UUID = re.compile(r"[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


class RequestId:
    """The first middleware, so that health checks and refusals have an id, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and say the id in the answer."""
        given = request.headers.get(HEADER, "")
        request_id = given.lower() if _UUID.fullmatch(given) else str(uuid.uuid4())
        with telemetry.bound(request_id=request_id):
            request.META[IDS] = telemetry.ids()
            response = self.get_response(request)
        match = request.resolver_match
        request.META[ROUTE] = match.route if match else ""
        response[HEADER] = request_id
        return response
