"""How gunicorn serves telbot: `gunicorn config.wsgi --config python:config.serving`."""

from __future__ import annotations

import logging
import logging.config
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from config import env, logs
from config.telemetry.web import IDS, ROUTE

#: Asked every few seconds by whoever watches; a line is written where the answer is bad.
WATCHED = frozenset({"/healthz", "/readyz", "/metrics"})


class Log(Logger):  # type: ignore[misc]  # gunicorn has no types
    """Lines like those of every other process, also for what Django never sees."""

    def setup(self, cfg: Any) -> None:
        """Called at the start and on SIGHUP."""
        self.cfg = cfg
        logging.config.dictConfig(logs.config(json=env.read()["ENVIRONMENT"] != "local"))
        self.error_log.propagate = self.access_log.propagate = True

    @property
    def access_log_enabled(self) -> bool:
        """Always: `access` decides."""
        return True

    def access(
        self, resp: Any, req: Any, environ: Mapping[str, Any], request_time: timedelta
    ) -> None:
        """One line for an answer: the route instead of the path, and no query string."""
        status = int(resp.status_code)
        if environ.get("PATH_INFO") in WATCHED and status < 400:
            return
        said = {
            "method": environ.get("REQUEST_METHOD"),
            "route": environ.get(ROUTE, ""),
            "status": status,
            "milliseconds": round(request_time.total_seconds() * 1000),
            "bytes": getattr(resp, "sent", 0),
            **environ.get(IDS, {}),
        }
        self.access_log.info("http.request", extra=said)


logger_class = Log
