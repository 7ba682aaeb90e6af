"""What is set up, what is not, and what to do about it.

Each check returns one Item; a check that itself fails is an item that says so, so that one broken
part never hides the others. Nothing is written and nothing is sent to a learner.
"""

from __future__ import annotations

import asyncio
import http.client
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

import delivery.selectors
from attendance import google
from attendance.google_errors import GoogleError
from attendance.models import Course
from attendance.selectors.figures import standing as attendance_standing
from config import pagers, views
from config.console.zone_names import known_zones
from config.sealed import stock
from delivery.gateways import Call
from delivery.models import Process
from delivery.services.gates import TOKEN
from delivery.services.installation import arm, remember_bot
from delivery.telegram import TelegramGateway, gateway
from nurture import flags
from nurture.domain.figures import Verdict
from nurture.domain.scorecard import BACKUP_AGE, Item
from nurture.models import BackupRun
from nurture.services.alerts import MISSING_SECONDS
from nurture.services.backup_runs import last_good

log = logging.getLogger(__name__)

WENT_WRONG = frozenset({"failed", "config_error"})
OLDEST_POSTGRES = 150000  # server_version_num of 15.0


def examine(*, ask: bool = True) -> list[Item]:
    """Run every check, in the order in which one would mend things.

    `ask`: whether Telegram and Google are asked, which may take seconds; else it is told from the
    traces that their answers left.
    """
    checks = CHECKS if ask else CHECKS | BY_TRACES
    return [safely(name, check) for name, check in checks.items()]


def safely(name: str, check: Callable[[], Item]) -> Item:
    """Run one check; where it fails itself, that is what is told."""
    try:
        return check()
    except (DatabaseError, redis.RedisError) as error:  # away or behind: no fault of the check
        return Item(name=name, verdict="fail", value=_one_line(error), source="the connection")
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
    wrong = [] if number >= OLDEST_POSTGRES else ["telbot needs PostgreSQL 15 or newer"]
    if settings.TIME_ZONE not in known_zones():
        zone = settings.TIME_ZONE
        wrong.append(f"it does not know TIME_ZONE={zone}, so no hours can be kept; set another")
    value = "; ".join([" ".join(text.split()[:2]), *wrong])
    return Item(
        name="database", verdict="fail" if wrong else "pass", value=value, source="DATABASE_URL"
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


def ask_telegram(question: Callable[[TelegramGateway], Awaitable[Call]]) -> Call:
    """Put one question to Telegram, or to the sandbox where there is no BOT_TOKEN."""

    async def ask() -> Call:
        door = gateway()
        await door.open()
        try:
            return await question(door)
        finally:
            await door.close()

    return asyncio.run(ask())


def _telegram() -> Item:
    source = (
        f"getMe at {settings.TELEGRAM_API_URL}" if settings.BOT_TOKEN else "the sandbox's getMe"
    )
    call = ask_telegram(lambda door: door.get_me())
    if call.status == http.client.OK and call.body:
        name = call.body.get("result", {}).get("username", "?")
        remember_bot(username=name)
        return Item(name="telegram", verdict="pass", value=f"@{name} answers", source=source)
    value = f"no answer ({call.cause})" if call.status is None else f"refused with {call.status}"
    if call.status in {401, 404}:
        value += "; BOT_TOKEN is wrong, take a new one from @BotFather"
    return Item(name="telegram", verdict="fail", value=value, source=source)


def _telegram_by_traces() -> Item:
    stands, refused = delivery.selectors.standing(), TOKEN in _closed_gates()
    source = "delivery_installation and delivery_gate; manage.py doctor asks Telegram"
    if refused:
        value = "Telegram refuses the token; take a new one from @BotFather"
        return Item(name="telegram", verdict="fail", value=value, source=source)
    if not stands.bot_username:
        value = "never asked; run manage.py doctor"
        return Item(name="telegram", verdict="not_yet", value=value, source=source)
    value = f"@{stands.bot_username} has answered"
    return Item(name="telegram", verdict="pass", value=value, source=source)


def _updates() -> Item:
    stands = delivery.selectors.standing()
    if settings.TELEGRAM_WEBHOOK_SECRET:
        good, way = stands.heard_at is not None, "webhook"
        hint = f"heard last {stands.heard_at}" if good else "manage.py runbot --webhook sets it"
    else:
        poller = stands.processes.get(Process.POLLER)
        good = poller is not None and poller.seconds_ago <= 2 * MISSING_SECONDS
        way, hint = "long polling", "the bot listens" if good else "start manage.py runbot"
    return Item(
        name="updates", verdict="pass" if good else "not_yet", value=f"{way}; {hint}",
        source="TELEGRAM_WEBHOOK_SECRET, delivery_inboundupdate, delivery_heartbeat",
    )  # fmt: skip


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


def _google_by_traces() -> Item:
    if not google.is_configured():
        return _google()
    readings = attendance_standing(since=timezone.now(), now=timezone.now()).readings
    wrong = [f"{row.name}: {row.error}" for row in readings if row.state in WENT_WRONG]
    known = [row for row in readings if row.complete_at is not None]
    verdict: Verdict = "fail" if wrong else "pass" if known else "not_yet"
    value = "; ".join(wrong)[:300] or f"{len(known)} of {len(readings)} sources were read"
    return Item(
        name="google", verdict=verdict, value=value,
        source="attendance_syncrun; manage.py doctor asks Google",
    )  # fmt: skip


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
    # A copy that nothing tells from its original is held by the gate alone.
    problem = arm(now=timezone.now()) or views.fence()
    return Item(
        name="installation",
        verdict="fail" if problem else "pass",
        value=problem or f"armed for {settings.ENVIRONMENT}",
        source="delivery_installation",
    )


def _closed_gates() -> set[str]:
    return {gate.key for gate in delivery.selectors.closed_gates()}


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


def _alerts() -> Item:
    told = ", ".join(channel.name for channel in pagers.channels())
    value = f"{told} told; manage.py alerts test" if told else "nobody is told"
    return Item(
        name="alerts", verdict="pass" if told else "not_yet", value=value,
        source="SLACK_WEBHOOK_URL, PAGERDUTY_ROUTING_KEY",
    )  # fmt: skip


def _backups() -> Item:
    source = "BACKUP_S3_URL and nurture_backuprun"
    if not settings.BACKUP_S3_URL:
        value = "off; set BACKUP_S3_URL (docs/operations/data.md)"
        return Item(name="backups", verdict="not_yet", value=value, source=source)
    last, now = last_good(kind=BackupRun.BACKUP), timezone.now()
    if last is None:
        value = "none was stored yet; manage.py backup --to-storage"
        return Item(name="backups", verdict="not_yet", value=value, source=source)
    hours = (now - last.started_at) // timedelta(hours=1)
    late = now - last.started_at >= BACKUP_AGE
    value = f"{last.file}, {hours} h ago" + ("; manage.py backup --to-storage" if late else "")
    return Item(name="backups", verdict="fail" if late else "pass", value=value, source=source)


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
    "alerts": _alerts,
    "backups": _backups,
}
#: What is told from rows where nobody outside is to be asked.
BY_TRACES: dict[str, Callable[[], Item]] = {
    "telegram": _telegram_by_traces,
    "google": _google_by_traces,
}
