"""Logging: where records go, and how a line is made of one.

Everybody writes with `logging.getLogger(__name__)` and `extra=`. The lines are structlog's: JSON
outside a laptop, plain text on it. What may be in them is telemetry/scrubbing.py's to say.
"""

from __future__ import annotations

import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config import telemetry
from config.telemetry import scrubbing
from config.telemetry.web import IDS

log = logging.getLogger(__name__)


def chosen(_: WrappedLogger, __: str, line: EventDict) -> EventDict:
    """What may be written of a record, with the ids of the work at hand."""
    record: logging.LogRecord = line["_record"]
    said: Any = line.get("event") if line["_from_structlog"] else record.msg
    extra: dict[str, Any] = dict(line) if line["_from_structlog"] else vars(record)
    values = line.get("positional_args") or ()
    made: dict[str, Any] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": scrubbing.event(logger=record.name, said=said, values=values),
    }
    made |= scrubbing.fields({**telemetry.ids(), **_of_request(record), **extra})
    if record.name == "django.request":  # its template is "%s: %s"
        made["event"] = "http.refused"
    if error := _error(line.get("exc_info")):
        made["exception"] = scrubbing.exception(error)
    made |= {"_record": record, "_from_structlog": line["_from_structlog"]}
    return made


def _of_request(record: logging.LogRecord) -> dict[str, Any]:
    """Django says some things of a request when it has left our middleware."""
    meta = getattr(getattr(record, "request", None), "META", {})
    status = getattr(record, "status_code", None)
    return {**meta.get(IDS, {}), **({"status": status} if status else {})}


def _error(given: Any) -> BaseException | None:
    if given is True:
        given = sys.exc_info()
    found = given[1] if isinstance(given, tuple) else given
    return found if isinstance(found, BaseException) else None


def _formatter(*last: Processor) -> dict[str, Any]:
    return {
        "()": structlog.stdlib.ProcessorFormatter,
        "processors": [chosen, structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        "use_get_message": False,
        "pass_foreign_args": True,
    }


def config(*, json: bool) -> dict[str, Any]:
    """Django's LOGGING: JSON lines outside a laptop, plain text on it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": _formatter(structlog.processors.JSONRenderer(ensure_ascii=False)),
            "text": _formatter(
                structlog.dev.ConsoleRenderer(
                    colors=False,
                    pad_event_to=0,
                    pad_level=False,
                    timestamp_key="at",
                    sort_keys=False,
                )
            ),
        },
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "json" if json else "text"}
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # These say by themselves what our own records say better, or say it each second.
            "httpx": {"level": "WARNING"},
            "telegram": {"level": "CRITICAL"},
            "aiohttp.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "environ": {"level": "WARNING"},
            "googleapiclient": {"level": "ERROR"},
            "google_auth_httplib2": {"level": "ERROR"},
            # Django hangs handlers of its own on this one.
            "django": {"level": "INFO", "handlers": [], "propagate": True},
            "django.server": {"handlers": [], "propagate": True},
        },
    }


def set_up(*, json: bool) -> None:
    """Warnings are lines where lines are read by machines. `structlog.get_logger()` writes through
    the same handlers, should somebody use it."""
    logging.captureWarnings(json)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def log_crashes() -> None:
    """In a lasting process: what kills it, or one of its threads, is a line like all others.

    Python's own traceback would say the error's words, and what they quote.
    """

    def in_process(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if not issubclass(kind, KeyboardInterrupt):
            log.critical("process.died", exc_info=(kind, error, trace))

    def in_thread(given: threading.ExceptHookArgs) -> None:
        if given.exc_value is not None and not isinstance(given.exc_value, SystemExit):
            log.critical("thread.died", exc_info=given.exc_value)

    sys.excepthook = in_process
    threading.excepthook = in_thread
