"""Logging and error reports: where records go, and what must never be in them."""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import UTC, datetime
from typing import Any

# A bot token is part of every Bot API URL: https://core.telegram.org/bots/api#making-requests
_TOKEN = re.compile(r"\b\d{5,}:[A-Za-z0-9_-]{20,}|/bot[^/\s]+")
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def scrub(text: str) -> str:
    """Take bot tokens out of `text`."""
    return _TOKEN.sub("[token]", text)


class Scrub(logging.Filter):
    """Takes tokens out of every record, whoever wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record through, cleaned."""
        message = record.getMessage()
        cleaned = scrub(message)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: constant event name, values as fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Render `record`; fields given through `extra` stand beside the usual ones."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _ORDINARY}
        if record.exc_info:
            line["exception"] = scrub(self.formatException(record.exc_info))
        return json.dumps(line, default=str)


def config(*, json: bool) -> dict[str, Any]:
    """Django's LOGGING: JSON lines outside a laptop, plain text on it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"scrub": {"()": "config.logs.Scrub"}},
        "formatters": {
            "json": {"()": "config.logs.JsonFormatter"},
            "text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": "json" if json else "text",
                "filters": ["scrub"],
            }
        },
        "root": {"handlers": ["stderr"], "level": "INFO"},
        "loggers": {
            # These write URLs (with the token in them) or a traceback per odd answer.
            "httpx": {"level": "WARNING"},
            "telegram": {"level": "CRITICAL"},
            "aiohttp.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
            "googleapiclient": {"level": "ERROR"},
            "google_auth_httplib2": {"level": "ERROR"},
        },
    }


def init_sentry(*, dsn: str, environment: str) -> None:
    """Report what needs a code change, without personal data; nothing without a DSN."""
    if not dsn:
        return
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        release=os.environ.get("RENDER_GIT_COMMIT"),
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
    )
