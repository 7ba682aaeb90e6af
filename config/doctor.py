"""What is set up, what is not, and what to do about it.

Each check returns one Item; a check that itself fails is an item that says so, so that one broken
part never hides the others. Nothing is written and nothing is sent to a learner.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal

import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

import delivery.selectors
from attendance import google
from attendance.google_errors import GoogleError
from attendance.models import Course
from config import views
from config.sealed import stock
from delivery.gateways import Call
from delivery.models import Process
from delivery.services.gates import TOKEN
from delivery.services.installation import arm, remember_bot
from delivery.telegram import gateway
from nurture import flags
from nurture.services.alerts import MISSING_SECONDS

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


def _encryption() -> Item:
    verdict: Verdict = "pass"
    value = "every Telegram id, name and update is sealed with the newest key"
    if problem := stock.problem():
        verdict, value = "fail", problem
    elif stock.is_off():
        verdict = "not_yet"
        value = "off: Telegram ids, names and updates can be read in the database; docs/privacy.md"
    elif left := stock.left():
        verdict = "not_yet"
        value = f"{left.total()} values are under {', '.join(left)}; run manage.py rotate_keys"
    return Item(name="encryption", verdict=verdict, value=value, source="FIELD_ENCRYPTION_KEY")


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


def _telegram() -> Item:
    async def ask() -> Call:
        door = gateway()
        await door.open()
        try:
            return await door.get_me()
        finally:
            await door.close()

    source = (
        f"getMe at {settings.TELEGRAM_API_URL}" if settings.BOT_TOKEN else "the sandbox's getMe"
    )
    call = asyncio.run(ask())
    if call.status == http.client.OK and call.body:
        name = call.body.get("result", {}).get("username", "?")
        remember_bot(username=name)
        return Item(name="telegram", verdict="pass", value=f"@{name} answers", source=source)
    value = f"no answer ({call.cause})" if call.status is None else f"refused with {call.status}"
    if call.status in {401, 404}:
        value += "; BOT_TOKEN is wrong, take a new one from @BotFather"
    return Item(name="telegram", verdict="fail", value=value, source=source)


def _updates() -> Item:
    way = "webhook" if settings.TELEGRAM_WEBHOOK_SECRET else "long polling"
    hint = "manage.py runbot --webhook sets it" if way == "webhook" else "manage.py runbot"
    return Item(
        name="updates", verdict="pass", value=f"{way}; {hint}", source="TELEGRAM_WEBHOOK_SECRET"
    )


def _google() -> Item:
    if not google.is_configured():
        value = "off; set GOOGLE_SERVICE_ACCOUNT_JSON, GOOGLE_DELEGATED_USER, GOOGLE_CALENDAR_IDS"
        return Item(name="google", verdict="not_yet", value=value, source="settings")
    now = timezone.now()
    try:
        door = google.from_settings(insist=True)
        next(door.activities(starts_at=now - timedelta(minutes=5), ends_at=now), None)
    except GoogleError as error:
        return Item(name="google", verdict="fail", value=_one_line(error), source="Reports API")
    return Item(
        name="google", verdict="pass", value="the Meet log is readable", source="Reports API"
    )


def _calendars() -> Item:
    known = set(settings.GOOGLE_CALENDAR_IDS) | set(
        Course.objects.filter(active=True).values_list("calendar_id", flat=True)
    )
    value = f"{len(known)} calendars" if known else "none; import learners or set the calendar ids"
    return Item(
        name="calendars",
        verdict="pass" if known else "not_yet",
        value=value,
        source="GOOGLE_CALENDAR_IDS and courses",
    )


def _flags() -> Item:
    states = {
        "nurture": flags.nurture_is_on(),
        "attendance": flags.attendance_is_on(),
        "deliver": flags.deliver_is_on(),
    }
    value = ", ".join(f"{name} {'on' if on else 'off'}" for name, on in states.items())
    if not all(states.values()):
        value += "; manage.py switch NAME on"
    return Item(
        name="flags", verdict="pass" if all(states.values()) else "not_yet", value=value,
        source="waffle",
    )  # fmt: skip


def _installation() -> Item:
    problem = arm(now=timezone.now())
    return Item(
        name="installation",
        verdict="fail" if problem else "pass",
        value=problem or f"armed for {settings.ENVIRONMENT}",
        source="delivery_installation",
    )


def _gates() -> Item:
    closed = delivery.selectors.closed_gates()
    value = "; ".join(f"{gate.key}: {gate.reason or 'closed by staff'}" for gate in closed)
    # A gate that staff or a 429 closed is a state, not a fault; a refused token is one.
    broken = any(gate.key == TOKEN for gate in closed)
    verdict: Verdict = "fail" if broken else "not_yet" if closed else "pass"
    return Item(name="gates", verdict=verdict, value=value or "all open", source="delivery_gate")


def _processes() -> Item:
    alive = delivery.selectors.standing().processes
    missing = [
        str(process.label)
        for process in (Process.CLOCK, Process.WORKER)
        if process not in alive or alive[process].seconds_ago > MISSING_SECONDS
    ]
    value = f"not seen of late: {', '.join(missing)}; start it" if missing else "clock and worker"
    return Item(
        name="processes",
        verdict="not_yet" if missing else "pass",
        value=value,
        source="delivery_heartbeat",
    )


CHECKS: dict[str, Callable[[], Item]] = {
    "settings": _settings,
    "database": _database,
    "migrations": _migrations,
    "permissions": _permissions,
    "encryption": _encryption,
    "redis": _redis,
    "installation": _installation,
    "flags": _flags,
    "telegram": _telegram,
    "updates": _updates,
    "google": _google,
    "calendars": _calendars,
    "gates": _gates,
    "processes": _processes,
}
