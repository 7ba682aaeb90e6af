"""What `doctor --deep` asks besides: those outside, and how the servers are set up.

Nothing is sent to a learner, no alert is raised, nothing is written: whoever only has to be
reachable gets a connection and not a byte more than TLS needs.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from attendance import google
from attendance import services as attendance
from attendance.selectors import calendar_ids
from config import views
from config.doctor import ask_telegram, safely
from delivery.telegram import ALLOWED_UPDATES, webhook_url
from nurture.domain.figures import Verdict
from nurture.domain.scorecard import Item

REACH_SECONDS = 5.0
PORTS = {"https": 443, "http": 80}
PAGERDUTY = "https://events.pagerduty.com"
#: Updates that wait at Telegram; a bot that listens has none.
MANY_PENDING = 100
RECENT = timedelta(hours=1)
#: Two web processes of eight threads, two workers of eight, clock, poller, staff and a command.
NEEDED_CONNECTIONS = 40
SKEW_SECONDS = 2.0
KEY_LENGTH, DIFFERENT = 50, 16
SECRET_LENGTH = 24
CERTIFICATE_LEFT = timedelta(days=14)
FULL = 0.8


def examine() -> list[Item]:
    """Run every deep check; each waits for at most some seconds."""
    return [safely(name, check) for name, check in CHECKS.items()]


def _item(name: str, source: str, wrong: list[str], value: str) -> Item:
    verdict: Verdict = "fail" if wrong else "pass"
    return Item(name=name, verdict=verdict, value="; ".join(wrong) or value, source=source)


def _off(name: str, setting: str) -> Item:
    return Item(name=name, verdict="not_yet", value=f"off; set {setting}", source=setting)


def _webhook() -> Item:
    source = "getWebhookInfo"
    call = ask_telegram(lambda door: door.get_webhook_info())
    if call.status != http.client.OK or not call.body:
        why = call.cause or f"status {call.status}"
        return _item("webhook", source, [f"Telegram did not say ({why}); see telegram above"], "")
    info = call.body.get("result") or {}
    wanted = wanted_webhook()
    wrong = of_webhook(info, wanted, now=timezone.now())
    pending = info.get("pending_update_count", 0)
    value = f"{'set to ' + wanted if wanted else 'long polling, none is set'}; {pending} wait"
    return _item("webhook", source, wrong, value)


def wanted_webhook() -> str:
    """Where Telegram is to push to; "" where it is asked instead."""
    return webhook_url() if settings.TELEGRAM_WEBHOOK_SECRET else ""


def of_webhook(info: Mapping[str, object], wanted: str, *, now: datetime) -> list[str]:
    """What is wrong with what Telegram knows of our webhook."""
    wrong, failed = unheard(info, wanted), info.get("last_error_date")
    if isinstance(failed, int) and now - datetime.fromtimestamp(failed, UTC) < RECENT:
        wrong.append(f"Telegram could not push: {info.get('last_error_message', 'no reason')}")
    return wrong


def unheard(info: Mapping[str, object], wanted: str) -> list[str]:
    """Why what learners say does not reach us, by what Telegram knows of our webhook."""
    url, wrong = str(info.get("url") or ""), []
    if url != wanted:
        do = "run manage.py runbot --webhook" if wanted else "manage.py runbot takes it away"
        host = urlsplit(url).hostname or "none"
        wrong.append(f"another one is set (host {host}); {do}")
    pending = info.get("pending_update_count")
    if isinstance(pending, int) and pending > MANY_PENDING:
        wrong.append(f"{pending} updates wait; see whether the web process or the poller runs")
    allowed = info.get("allowed_updates")
    if isinstance(allowed, list) and wanted and set(ALLOWED_UPDATES) - set(allowed):
        wrong.append("not all kinds of updates are allowed; run manage.py runbot --webhook")
    return wrong


def _google() -> Item:
    if not google.is_configured():
        return _off("google_scopes", "GOOGLE_SERVICE_ACCOUNT_JSON")
    found = attendance.probe(calendar_ids=calendar_ids(), now=timezone.now())
    wrong = [f"{answer.name}: {answer.said}" for answer in found.answers if not answer.ok]
    skew = found.clock_skew_seconds
    if skew is not None and abs(skew) > SKEW_SECONDS:
        wrong.append(f"Google's clock is {skew:+.1f} s from ours; run a time service")
    value = f"Meet log and {len(found.answers) - 1} calendars answer, {found.records} records"
    return _item("google_scopes", "Reports API and Calendar API", wrong, value)


def unreachable(url: str) -> str:
    """Why the host of a URL cannot be connected to, with TLS where it is https; "" if it can."""
    parts = urlsplit(url)
    host, port = parts.hostname, parts.port or PORTS.get(parts.scheme)
    if not host or port is None:
        return "the setting is no URL of a host"
    try:
        with socket.create_connection((host, port), REACH_SECONDS) as wire:
            if parts.scheme == "https":
                ssl.create_default_context().wrap_socket(wire, server_hostname=host).close()
    except OSError as error:
        return f"{host}:{port} cannot be reached ({type(error).__name__}); look at the network"
    return ""


def _reach(name: str, setting: str, *, default: str = "", needs: str = "") -> Callable[[], Item]:
    """A check that the host of a setting's URL can be connected to."""

    def check() -> Item:
        if not settings.VALUES[needs or setting]:
            return _off(name, needs or setting)
        url = settings.VALUES[setting] or default
        problem = unreachable(url)
        value = f"{urlsplit(url).hostname} can be reached; nothing was sent"
        return _item(name, setting, [problem] if problem else [], value)

    return check


def _backups() -> Item:
    if not settings.VALUES["BACKUP_S3_URL"]:
        return _off("backup_storage", "BACKUP_S3_URL")
    if urlsplit(settings.VALUES["BACKUP_S3_URL"]).scheme not in PORTS:
        value = "its address names no host; the next backup shows whether it can be written"
        return Item(name="backup_storage", verdict="not_yet", value=value, source="BACKUP_S3_URL")
    return _reach("backup_storage", "BACKUP_S3_URL")()


def _postgres() -> Item:
    names = ("fsync", "full_page_writes", "synchronous_commit", "TimeZone", "max_connections",
             "idle_in_transaction_session_timeout")  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, setting FROM pg_settings WHERE name = ANY(%s)"
            " UNION ALL SELECT 'used', count(*)::text FROM pg_stat_activity"
            " UNION ALL SELECT 'size', pg_size_pretty(pg_database_size(current_database()))",
            [list(names)],
        )
        found = dict(cursor.fetchall())
    wrong = [
        f"{name} is off: a crash may lose what was committed; switch it on"
        for name in names[:3] if found.get(name) == "off"
    ]  # fmt: skip
    if int(found["max_connections"]) < NEEDED_CONNECTIONS:
        wrong.append(f"max_connections is {found['max_connections']}, {NEEDED_CONNECTIONS} needed")
    if found["TimeZone"] not in {"UTC", "Etc/UTC"}:
        wrong.append(f"the session's time zone is {found['TimeZone']}, not UTC")
    idle = int(found["idle_in_transaction_session_timeout"]) // 1000
    value = (
        f"{found['used']} of {found['max_connections']} connections, {found['size']}, "
        f"idle transactions end after {f'{idle} s' if idle else 'never'}"
    )
    return _item("postgres", "pg_settings", wrong, value)


def _memory() -> Item:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as client:
        info = client.info("memory")
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    wrong = []
    if limit and used > FULL * limit:
        wrong.append(
            f"{used / limit:.0%} of its memory is used; enlarge it, else bells are refused"
        )
    value = f"{used / 2**20:.0f} MB used of {f'{limit / 2**20:.0f} MB' if limit else 'no limit'}"
    return _item("redis_memory", "INFO memory", wrong, value)


def _clock() -> Item:
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    after = timezone.now()
    # Between the two it was asked; only what lies outside is skew.
    skew = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    wrong = []
    if skew > SKEW_SECONDS:
        wrong.append(f"the database's clock is {skew:.1f} s from this host's; run a time service")
    return _item("clock", "clock_timestamp()", wrong, f"{skew:.3f} s between host and database")


def _fence() -> Item:
    closed = views.fence()
    return _item("fence", "delivery_gate", [closed] if closed else [], "this database may send")


def _keys() -> Item:
    key, wrong = settings.SECRET_KEY, []
    if len(key) < KEY_LENGTH or len(set(key)) < DIFFERENT or key.startswith("django-insecure"):
        wrong.append("SECRET_KEY is weak: take 50 random characters or more")
    for name in ("TELEGRAM_WEBHOOK_SECRET", "METRICS_TOKEN"):
        if 0 < len(settings.VALUES[name]) < SECRET_LENGTH:
            wrong.append(f"{name} is short: take {SECRET_LENGTH} random characters or more")
    if not settings.VALUES["FIELD_ENCRYPTION_KEY"] and not settings.IS_LOCAL:
        wrong.append("FIELD_ENCRYPTION_KEY is empty: names and chat ids are kept in the clear")
    if settings.IS_LOCAL and wrong:
        value = f"good enough for this machine only: {'; '.join(wrong)}"
        return Item(name="keys", verdict="not_yet", value=value, source="environment")
    return _item("keys", "environment", wrong, "long enough")


def _certificate() -> Item:
    parts = urlsplit(settings.PUBLIC_URL)
    if parts.scheme != "https" or not parts.hostname:
        value = "PUBLIC_URL has no https; Telegram pushes to https only"
        return Item(name="certificate", verdict="not_yet", value=value, source="PUBLIC_URL")
    address = (parts.hostname, parts.port or PORTS["https"])
    try:
        with socket.create_connection(address, REACH_SECONDS) as plain:
            context = ssl.create_default_context()
            with context.wrap_socket(plain, server_hostname=parts.hostname) as wire:
                until = str((wire.getpeercert() or {})["notAfter"])
    except OSError as error:
        return _item("certificate", "PUBLIC_URL", [f"no TLS: {type(error).__name__}"], "")
    left = datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC) - timezone.now()
    wrong = [f"it ends in {left.days} days; renew it"] if left < CERTIFICATE_LEFT else []
    return _item("certificate", "PUBLIC_URL", wrong, f"good for {left.days} days")


CHECKS: dict[str, Callable[[], Item]] = {
    "postgres": _postgres,
    "redis_memory": _memory,
    "clock": _clock,
    "fence": _fence,
    "keys": _keys,
    "webhook": _webhook,
    "google_scopes": _google,
    "certificate": _certificate,
    "backup_storage": _backups,
    "slack": _reach("slack", "SLACK_WEBHOOK_URL"),
    "pagerduty": _reach(
        "pagerduty", "PAGERDUTY_API_URL", default=PAGERDUTY, needs="PAGERDUTY_ROUTING_KEY"
    ),
    "otlp": _reach("otlp", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    "sentry": _reach("sentry", "SENTRY_DSN"),
}
