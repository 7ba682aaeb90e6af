"""What is set up, what is not, and what to do about it.

Each check returns one Item; a check that itself fails is an item that says so, so that one broken
part never hides the others. Nothing is written and nothing is sent to a learner.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

import redis
from django.conf import settings
from django.db import connection

from config import views

log = logging.getLogger(__name__)

Verdict = Literal["pass", "fail", "not_yet"]
OLDEST_POSTGRES = 150000  # server_version_num of 15.0


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line: `source` says what was asked, `value` what came back and what to do."""

    name: str
    verdict: Verdict
    value: str
    source: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def examine() -> list[Item]:
    """Run every check, in the order in which one would mend things."""
    return [_safely(name, check) for name, check in CHECKS.items()]


def _safely(name: str, check: Callable[[], Item]) -> Item:
    try:
        return check()
    except Exception as error:
        log.exception("doctor.check_failed", extra={"check": name})
        return Item(name=name, verdict="fail", value=_one_line(error), source="the check itself")


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]


def _settings() -> Item:
    # A wrong value would have stopped the boot; what is left to say is what was chosen.
    missing = [] if settings.IS_LOCAL else [n for n in ("BOT_TOKEN",) if not getattr(settings, n)]
    value = f"ENVIRONMENT={settings.ENVIRONMENT}"
    if missing:
        value += f"; without {', '.join(missing)} nothing reaches Telegram"
    return Item(
        name="settings", verdict="not_yet" if missing else "pass", value=value, source="environment"
    )


def _database() -> Item:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, version()")
        number, text = cursor.fetchone()
    good = number >= OLDEST_POSTGRES
    value = " ".join(text.split()[:2]) + ("" if good else "; telbot needs PostgreSQL 15 or newer")
    return Item(
        name="database", verdict="pass" if good else "fail", value=value, source="DATABASE_URL"
    )


def _migrations() -> Item:
    problem = views.migrations_problem()
    return Item(
        name="migrations",
        verdict="fail" if problem else "pass",
        value=problem or "all applied",
        source="django_migrations",
    )


def _permissions() -> Item:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FILTER (WHERE NOT has_table_privilege(c.oid,"
            " 'SELECT, INSERT, UPDATE, DELETE')), count(*) FROM pg_class c"
            " WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace"
        )
        lacking, tables = cursor.fetchone()
    value = f"{tables} tables may be read and written"
    if lacking:
        value = f"the database role lacks rights on {lacking} of {tables} tables; grant them"
    return Item(
        name="permissions", verdict="fail" if lacking else "pass", value=value, source="pg_class"
    )


def _redis() -> Item:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
        client.ping()
        try:
            policy = str(client.config_get("maxmemory-policy").get("maxmemory-policy", ""))
        except redis.ResponseError:
            policy = ""  # hosted servers often forbid CONFIG
    bad = policy not in {"", "noeviction"}
    value = f"answers, policy {policy or 'not readable'}"
    if bad:
        value += "; set maxmemory-policy to noeviction, else bells are dropped"
    return Item(name="redis", verdict="fail" if bad else "pass", value=value, source="REDIS_URL")


CHECKS: dict[str, Callable[[], Item]] = {
    "settings": _settings,
    "database": _database,
    "migrations": _migrations,
    "permissions": _permissions,
    "redis": _redis,
}
