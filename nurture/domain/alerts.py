"""Which alerts there are, and when each is told: opened, repeated, resolved.

`CATALOGUE` is the one list: the overview, Slack, PagerDuty, `/metrics` and the handbook
(docs/operations/alerts.md) name an alert by its code and take its words from here. Nothing in it
names a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
#: What was bad has to be well for so long, else whatever comes and goes would tell each time.
CLEAR = 2 * MINUTE


class Severity(StrEnum):
    """How soon somebody has to come."""

    CRITICAL = "critical"  # now, also at night
    WARNING = "warning"  # today


class Tell(StrEnum):
    """What is said of an alert to those who are not looking."""

    NOTHING = ""
    TRIGGER = "trigger"
    AGAIN = "again"
    RESOLVE = "resolve"


class Code(StrEnum):
    """One code for each thing that may be wrong."""

    DATABASE_UNREACHABLE = "database_unreachable"
    REDIS_UNREACHABLE = "redis_unreachable"
    CLOCK_MISSING = "clock_missing"
    WORKER_MISSING = "worker_missing"
    POLLER_MISSING = "poller_missing"
    WEB_MISSING = "web_missing"
    WEBHOOK_WRONG = "webhook_wrong"
    ENGINE_STUCK = "engine_stuck"
    FENCE_CLOSED = "fence_closed"
    SENDING_STOPPED = "sending_stopped"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a code
    BREAKER_OPEN = "breaker_open"
    RATE_LIMITED = "rate_limited"
    STREAM_HELD = "stream_held"
    DELIVERIES_FAILING = "deliveries_failing"
    DELIVERIES_DELAYED = "deliveries_delayed"
    DELIVERIES_LATE = "deliveries_late"
    UPDATES_WAITING = "updates_waiting"
    UNKNOWN_DELIVERIES = "unknown_deliveries"
    DEAD_DELIVERIES = "dead_deliveries"
    POISON = "poison"
    GOOGLE_DARK = "google_dark"
    GOOGLE_FAILING = "google_failing"
    GOOGLE_LAG = "google_lag"
    REVIEWS_WAITING = "reviews_waiting"
    TASKS_OPEN = "tasks_open"
    JOB_FAILING = "job_failing"
    AUDIT_FINDINGS = "audit_findings"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Rule:
    """What an alert is called, what to do, and when it is told.

    It is told once it has stood for `after`, and again each `again` while it stands. `after` None:
    it is only shown; it is work rather than an alert.
    """

    title: str
    do: str
    severity: Severity
    after: timedelta | None = timedelta()

    @property
    def tone(self) -> str:
        """As the pages of the admin colour it: bad, act now; warn, look today."""
        return "bad" if self.severity is Severity.CRITICAL else "warn"

    @property
    def again(self) -> timedelta:
        """How long nobody is told again."""
        return 4 * HOUR if self.severity is Severity.CRITICAL else 24 * HOUR


_BAD, _WARN = Severity.CRITICAL, Severity.WARNING

CATALOGUE: Mapping[Code, Rule] = {
    Code.DATABASE_UNREACHABLE: Rule(
        "The database does not answer", "Nothing goes out and nothing is lost; bring it back.",
        _BAD, MINUTE,
    ),
    Code.REDIS_UNREACHABLE: Rule(
        "Redis does not answer", "The clock does the work by itself, more slowly; bring it back.",
        _WARN, 2 * MINUTE,
    ),
    Code.CLOCK_MISSING: Rule(
        "The clock is missing", "Start the clock (manage.py runclock); nothing is lost, it waits.",
        _BAD, MINUTE,
    ),
    Code.WORKER_MISSING: Rule(
        "The worker is missing",
        "Start the worker (manage.py rundramatiq); nothing is lost, it waits.", _BAD, MINUTE,
    ),
    Code.POLLER_MISSING: Rule(
        "The poller is missing",
        "Start it (manage.py runbot); what learners say waits at Telegram.", _BAD, MINUTE,
    ),
    Code.WEB_MISSING: Rule(
        "The web answers nobody", "Start it; what learners say waits at Telegram for a day.",
        _BAD, 2 * MINUTE,
    ),
    Code.WEBHOOK_WRONG: Rule(
        "Telegram does not tell us what learners say",
        "Set the webhook (manage.py runbot --webhook); see whether another bot uses the token.",
        _BAD, 7 * MINUTE,  # so that two questions found it wrong
    ),
    Code.ENGINE_STUCK: Rule(
        "Facts and journeys lie still",
        "See what ends each pass (Sentry, or the log); nothing is lost, it waits.",
        _BAD, 5 * MINUTE,
    ),
    Code.FENCE_CLOSED: Rule(
        "This database is fenced off", "What is behind it waits until it opens.", _BAD,
    ),
    Code.SENDING_STOPPED: Rule(
        "All sending is stopped", "What is behind it waits until it opens.", _BAD,
    ),
    Code.TOKEN_REFUSED: Rule(
        "Telegram refuses the bot's token", "What is behind it waits until it opens.", _BAD,
    ),
    Code.BREAKER_OPEN: Rule(
        "A circuit breaker is open", "It is tried again by itself; see what the other side says.",
        _BAD, MINUTE,
    ),
    Code.RATE_LIMITED: Rule(
        "Telegram asked us to wait", "It goes on by itself, more slowly.", _WARN,
    ),
    Code.STREAM_HELD: Rule(
        "A sequence is held", "What is behind it waits until it opens.", _WARN,
    ),
    Code.DELIVERIES_FAILING: Rule(
        "More than 5 % of the deliveries fail", "Look at the last errors of those that failed.",
        _BAD, 2 * MINUTE,
    ),
    Code.DELIVERIES_DELAYED: Rule(
        "Deliveries are more than an hour late",
        "See whether the worker runs and whether it has room.", _BAD,
    ),
    Code.DELIVERIES_LATE: Rule(
        "Deliveries are late", "See whether the worker runs and whether it has room.",
        _WARN, 15 * MINUTE,
    ),
    Code.UPDATES_WAITING: Rule(
        "Learners wait for an answer", "See whether the worker runs and what it logs.",
        _WARN, MINUTE,
    ),
    Code.UNKNOWN_DELIVERIES: Rule(
        "Deliveries cannot be known", "Say whether each arrived, or send it again.",
        _WARN, 15 * MINUTE,  # evidence may still come
    ),
    Code.DEAD_DELIVERIES: Rule(
        "Deliveries were given up", "Look at the last error, mend it, and send again.", _WARN,
    ),
    Code.POISON: Rule(
        "Something kills its worker or handler", "It is set aside; report it with its last error.",
        _BAD,
    ),
    Code.GOOGLE_DARK: Rule(
        "Google was not read as a whole for two hours",
        "manage.py doctor says what to do. No absence is concluded meanwhile.", _BAD, 5 * MINUTE,
    ),
    Code.GOOGLE_FAILING: Rule(
        "Reading Google failed",
        "manage.py doctor says what to do. No absence is concluded meanwhile.", _WARN, 25 * MINUTE,
    ),
    Code.GOOGLE_LAG: Rule(
        "Google's log is hours late", "Classes settle later; nothing is concluded too early.",
        _WARN, 15 * MINUTE,
    ),
    Code.REVIEWS_WAITING: Rule(
        "Many questions about attendance wait",
        "Their classes cannot be settled before they are answered.", _WARN, HOUR,
    ),
    Code.TASKS_OPEN: Rule(
        "Tasks are open", "Only a person can do them.", _WARN, None,
    ),
    Code.JOB_FAILING: Rule(
        "A nightly job comes to nothing", "System, Jobs says which and why; run it by hand.", _WARN,
    ),
    Code.AUDIT_FINDINGS: Rule(
        "The nightly audit found something", "System, Self-audit leads to each row.", _BAD,
    ),
    Code.TEST: Rule("Test", "Nothing is to be done.", _WARN, None),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stretch:
    """How long an alert stands, and what was told of it."""

    seen_since: datetime
    opened_at: datetime | None = None  # when it had stood for long enough
    gone_since: datetime | None = None  # when it was no longer seen, if it is not
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Advance:
    """What becomes of an alert now, and what is told."""

    stretch: Stretch
    tell: Tell = Tell.NOTHING
    is_resolved: bool = False
    is_forgotten: bool = False  # gone before it was worth a word


def advance(
    stretch: Stretch, *, rule: Rule, is_seen: bool, is_silenced: bool, now: datetime
) -> Advance:
    """Take one look at an alert. The same look taken twice tells nothing twice.

    In a silence alerts come and go and are kept, but none is told; what still stands when the
    silence ends is told then. That something is over is told to whoever was told that it began.
    """
    if is_seen:
        return _stands(stretch, rule=rule, is_silenced=is_silenced, now=now)
    if stretch.opened_at is None:
        return Advance(stretch, is_forgotten=True)
    gone = stretch.gone_since or now
    after = replace(stretch, gone_since=gone)
    if now - gone < CLEAR:
        return Advance(after)
    tell = Tell.RESOLVE if stretch.told_at else Tell.NOTHING
    return Advance(after, tell=tell, is_resolved=True)


def _stands(stretch: Stretch, *, rule: Rule, is_silenced: bool, now: datetime) -> Advance:
    opened = stretch.opened_at
    if opened is None and rule.after is not None and now - stretch.seen_since >= rule.after:
        opened = now
    after = replace(stretch, opened_at=opened, gone_since=None)
    if opened is None or is_silenced:
        return Advance(after)
    if stretch.told_at is None:
        return Advance(replace(after, told_at=now), tell=Tell.TRIGGER)
    if now - stretch.told_at >= rule.again:
        return Advance(replace(after, told_at=now), tell=Tell.AGAIN)
    return Advance(after)


def wait_after(tries: int) -> timedelta:
    """How long to leave a receiver alone that did not take it, after so many tries."""
    doubled: int = 2 ** min(tries - 1, 10)
    return min(15 * SECOND * doubled, 15 * MINUTE)
