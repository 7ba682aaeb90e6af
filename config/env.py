"""Every setting telbot reads from outside, in one table.

`.env.example`, `manage.py doctor` and a test are driven by `SETTINGS`, so that code, docs and
render.yaml cannot drift apart. A wrong value stops the boot with the setting's name.
"""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from config import readers
from config.backups import address

BASE_DIR = Path(__file__).resolve().parent.parent
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value from outside: how it is read, what it means, who needs it."""

    name: str
    read: Callable[[str], Any]
    default: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="ENVIRONMENT",
        read=readers.environment,
        default="local",
        help="local, staging or production",
    ),
    Setting(
        name="LOCAL_DIR",
        read=readers.text,
        default=".local",
        help="where embedded servers and local state live; two values are two worlds",
    ),
    Setting(
        name="DATABASE_URL",
        read=readers.server("postgres", "postgresql", "psql", "pgsql"),
        default="",
        secret=True,
        help="PostgreSQL; empty: an embedded one (local only)",
    ),
    Setting(
        name="REDIS_URL",
        read=readers.server("redis", "rediss", "unix"),
        default="",
        secret=True,
        help="Redis or Valkey; empty: an embedded one (local only)",
    ),
    Setting(
        name="SECRET_KEY",
        read=readers.text,
        default="",
        secret=True,
        help="signs sessions; at least 40 characters outside local",
    ),
    Setting(
        name="SECRET_KEY_FALLBACKS",
        read=readers.listed,
        default="",
        secret=True,
        help="earlier SECRET_KEYs, the newest first, comma between; chats, names and who was "
        "erased are found by hashes with the oldest, so keep it",
    ),
    Setting(
        name="ALLOWED_HOSTS",
        read=readers.listed,
        default="",
        help="host names the web process answers to, comma between; local: any loopback name",
    ),
    Setting(
        name="PUBLIC_URL",
        read=readers.url,
        default="",
        help="where the web process is reached from outside; empty in local: http://127.0.0.1:PORT",
    ),
    Setting(
        name="BOT_TOKEN",
        read=readers.text,
        default="",
        secret=True,
        help="from @BotFather; empty: the built-in sandbox takes every message",
    ),
    Setting(
        name="TELEGRAM_API_URL",
        read=readers.url,
        default="https://api.telegram.org",
        help="root of any Bot API server",
    ),
    Setting(
        name="TELEGRAM_WEBHOOK_SECRET",
        read=readers.webhook_secret,
        default="",
        secret=True,
        help="what Telegram sends with each webhook call; empty: long polling (runbot)",
    ),
    Setting(
        name="TELEGRAM_SENDS_PER_SECOND",
        read=readers.rate,
        default="25",
        help="bulk messages a second over all chats; Telegram allows about 30, the rest is "
        "for replies",
    ),
    Setting(
        name="TELEGRAM_SENDS_PER_SECOND_PER_CHAT",
        read=readers.rate,
        default="1",
        help="messages a second to one chat",
    ),
    Setting(
        name="STAGING_ALLOWED_CHATS",
        read=readers.chats,
        default="",
        help="chat ids that may be called outside production, comma between; the rest goes to the "
        "sandbox inbox; * = all, only where TELEGRAM_API_URL is a loopback address",
    ),
    Setting(
        name="GOOGLE_SERVICE_ACCOUNT_JSON",
        read=readers.service_account,
        default="",
        secret=True,
        help="service account key, as JSON or as a path; empty: Google is off",
    ),
    Setting(
        name="GOOGLE_DELEGATED_USER",
        read=readers.text,
        default="",
        help="the Workspace user with the Reports privilege whom the service account acts for",
    ),
    Setting(
        name="GOOGLE_CALENDAR_IDS",
        read=readers.listed,
        default="",
        help="calendars that hold the classes, comma between",
    ),
    Setting(
        name="GOOGLE_API_URL",
        read=readers.url,
        default="",
        help="root for Reports and Calendar; empty: Google's own",
    ),
    *(
        Setting(
            name=name,
            read=readers.flag,
            default="",
            help="seeds the flag once; local: on, else off",
        )
        for name in ("NURTURE_ENABLED", "ATTENDANCE_ENABLED")
    ),
    Setting(
        name="ROLLOUT_PERCENT",
        read=readers.percent,
        default="",
        help="share of learners who take part, seeded once; local: 100, else 0",
    ),
    Setting(name="PORT", read=readers.port, default="8000", help="port of the web process"),
    Setting(
        name="METRICS_TOKEN",
        read=readers.text,
        default="",
        secret=True,
        help="bearer token for /metrics; empty: the page is off",
    ),
    Setting(
        name="FIELD_ENCRYPTION_KEY",
        read=readers.keys,
        default="",
        secret=True,
        help="key of Telegram ids, names and updates in the database (URL-safe base64 of 32 random "
        "bytes); to change it, the new one first and the old one after a comma, then manage.py "
        "rotate_keys; lost, they are lost; empty: off, they are stored readable",
    ),
    Setting(
        name="BACKUP_S3_URL",
        read=address.checked,
        default="",
        secret=True,
        help="S3-compatible target of scheduled backups, https://KEY:SECRET@host/bucket/prefix"
        "?region=eu-central-1, key and secret percent-encoded; empty: off",
    ),
    Setting(
        name="SENTRY_DSN",
        read=readers.dsn,
        default="",
        secret=True,
        help="error reports; empty: off",
    ),
    Setting(
        name="SLACK_WEBHOOK_URL",
        read=readers.url,
        default="",
        secret=True,
        help="Slack alerts; empty: off",
    ),
    Setting(
        name="PAGERDUTY_ROUTING_KEY",
        read=readers.text,
        default="",
        secret=True,
        help="alerts to PagerDuty; empty: off",
    ),
    Setting(
        name="PAGERDUTY_API_URL",
        read=readers.url,
        default="",
        help="PagerDuty's events address; empty: its own",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_ENDPOINT",
        read=readers.url,
        default="",
        help="OTLP collector; empty: off",
    ),
    Setting(
        name="OTEL_EXPORTER_OTLP_HEADERS",
        read=readers.text,
        default="",
        secret=True,
        help="what the OTLP collector asks for beside them, as name=value with commas between",
    ),
)

# These three seed flags differently in local, so that a fresh clone does something.
_LOCAL_DEFAULTS = {"NURTURE_ENABLED": "on", "ATTENDANCE_ENABLED": "on", "ROLLOUT_PERCENT": "100"}
_SAFE_DEFAULTS = {"NURTURE_ENABLED": "off", "ATTENDANCE_ENABLED": "off", "ROLLOUT_PERCENT": "0"}


def read(source: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Read every setting of the table; raise ImproperlyConfigured naming each wrong one.

    `source` stands for the environment in tests; without it, os.environ and then `.env`.
    """
    if source is None:
        environ.Env.read_env(BASE_DIR / ".env")  # never overwrites what is set already
        source = os.environ
    values: dict[str, Any] = {}
    problems: list[str] = []
    for setting in SETTINGS:
        raw = source.get(setting.name, "")
        if not raw.strip():
            special = _LOCAL_DEFAULTS if values.get("ENVIRONMENT") == "local" else _SAFE_DEFAULTS
            raw = setting.default or special.get(setting.name, "")
        try:
            values[setting.name] = setting.read(raw)
        except (ValueError, OSError) as error:
            # Never the value itself: it may be a secret.
            problems.append(f"{setting.name}: {_why(error, raw=raw, secret=setting.secret)}")
    problems += _contradictions(values)
    if problems:
        raise ImproperlyConfigured(
            "telbot cannot start with these settings:\n  " + "\n  ".join(problems)
        )
    return values


def _why(error: Exception, *, raw: str, secret: bool) -> str:
    if isinstance(error, json.JSONDecodeError):
        return "not valid JSON"
    if isinstance(error, OSError):
        return f"cannot read the file ({error.strerror})"
    return str(error) if secret else f"{error}, got {raw!r}"


def _contradictions(values: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    if values.get("ENVIRONMENT", "local") != "local":
        needed = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ALLOWED_HOSTS", "PUBLIC_URL")
        found += [
            f"{name}: required where ENVIRONMENT is {values['ENVIRONMENT']}"
            for name in needed
            if name in values and not values[name]
        ]
        if 0 < len(values.get("SECRET_KEY", "")) < 40:
            found.append("SECRET_KEY: at least 40 characters")
    api = urlsplit(values.get("TELEGRAM_API_URL", "http://localhost"))  # absent: wrong by itself
    if values.get("STAGING_ALLOWED_CHATS", frozenset()) is None and api.hostname not in LOOPBACK:
        found.append("STAGING_ALLOWED_CHATS: * is accepted only where TELEGRAM_API_URL is loopback")
    if values.get("GOOGLE_SERVICE_ACCOUNT_JSON") and not values.get("GOOGLE_DELEGATED_USER"):
        found.append("GOOGLE_DELEGATED_USER: required with GOOGLE_SERVICE_ACCOUNT_JSON")
    return found


def example() -> str:
    """The text of `.env.example`: every setting with its meaning, commented out."""
    lines = [
        "# Every setting telbot knows. Copy to .env and change what you need;",
        "# on a laptop nothing needs to be set. Written by `make env-example` from config/env.py.",
    ]
    for setting in SETTINGS:
        lines += ["", *(f"# {line}" for line in textwrap.wrap(setting.help, 96))]
        lines.append(f"#{setting.name}={setting.default}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(example(), end="")  # noqa: T201 - this is a program's output
