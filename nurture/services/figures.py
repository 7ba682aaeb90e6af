"""What happened by day and how everything stands now, for whoever shows or judges it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Q, Sum
from django.db.models.functions import TruncDate

from attendance.domain.evaluation import Share as AuditShare
from attendance.selectors import accuracy
from attendance.selectors import figures as attendance_selectors
from delivery import selectors as delivery_selectors
from delivery.models import Process
from nurture import flags, selectors
from nurture.domain import figures
from nurture.domain.figures import Counts, Day
from nurture.models import HourlyFigure
from nurture.services import jobs

DAYS = 14  # of a trend
WEEK = 7  # what a figure is taken from
AUDIT_WEEKS = 8
HOUR = timedelta(hours=1)
SETTLED_AFTER = timedelta(minutes=5)
AGAIN = timedelta(hours=24)
KEPT = timedelta(days=400)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How everything stands now, from a dozen cheap statements."""

    now: datetime
    switches: flags.Stand
    queues: list[delivery_selectors.Queue]  # every gate, with what is due behind it
    delivery: delivery_selectors.Standing
    attendance: attendance_selectors.Standing
    nurture: selectors.Standing
    audit: AuditShare
    troubles: list[jobs.Trouble] = field(default_factory=list)  # of nightly work
    hour: Counts = field(default_factory=dict)  # what came to its end in the last hour
    expects: Collection[Process] = ()  # besides the clock and a worker, once they were seen

    @property
    def gates(self) -> list[delivery_selectors.Queue]:
        """The gates that are closed, those of the bot first."""
        closed = [queue for queue in self.queues if queue.closed]
        return sorted(closed, key=lambda gate: gate.scope != "bot")

    @property
    def due(self) -> int:
        """How many deliveries are due and have not gone out; of each stream at most 10,001."""
        return sum(queue.due for queue in self.queues)

    @property
    def late_seconds(self) -> float:
        """For how long the oldest delivery has been due that no closed gate holds back."""
        if any(gate.scope == "bot" for gate in self.gates):
            return 0.0
        oldest = [queue.oldest for queue in self.queues if queue.oldest and not queue.closed]
        return max(((self.now - at).total_seconds() for at in oldest), default=0.0)


def days(*, now: datetime, zone: str, count: int = DAYS) -> list[Day]:
    """What happened on each of the last `count` days on the clock of `zone`, today among them.

    Three statements, however many deliveries there are: hours that are over were counted before
    (`count_hours`), what came since is counted now. An hour belongs to the day in which it begins,
    so in a zone that is half an hour off a day is, too.
    """
    today = now.astimezone(ZoneInfo(zone)).date()
    first = today - timedelta(days=count - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    kept = (
        HourlyFigure.objects.filter(hour__gte=since)
        .values_list(TruncDate("hour", tzinfo=ZoneInfo(zone)), "name")
        .annotate(count=Sum("count"), newest=Max("hour"))
    )
    rows, counted_to = [], since
    for day, name, number, newest in kept:
        rows.append((day, name, number))
        counted_to = max(counted_to, newest + HOUR)
    for hour, name, number in _counts(counted_to, max(now, counted_to) + HOUR):
        rows.append((hour.astimezone(ZoneInfo(zone)).date(), name, number))
    return figures.calendar(rows, until=today, days=count)


def hours_are_due(*, now: datetime) -> bool:
    """Whether an hour is over that was not counted yet."""
    return _counted_to() < _over(now)


@transaction.atomic
def count_hours(*, now: datetime) -> int:
    """Count what happened in the hours that are over; return how many hours were counted.

    The last day is counted anew each time, for what was in doubt may be known by now. Safe to run
    twice and in many processes: one does it, the others leave it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext('nurture_hourlyfigure'))")
        if not cursor.fetchone()[0] or not hours_are_due(now=now):
            return 0
    until = _over(now)
    since = max(_counted_to() - AGAIN, until - KEPT)
    rows = Counter[tuple[datetime, str]]()
    for hour, name, count in _counts(since, until):
        rows[hour, name] += count
    HourlyFigure.objects.filter(Q(hour__gte=since) | Q(hour__lt=until - KEPT)).delete()
    HourlyFigure.objects.bulk_create(
        [HourlyFigure(hour=hour, name=name, count=count) for (hour, name), count in rows.items()]
        + [HourlyFigure(hour=until - HOUR, name="", count=0)],
        batch_size=5_000,
    )
    return int((until - since) / HOUR)


def _counts(since: datetime, until: datetime) -> Iterator[tuple[datetime, str, int]]:
    for hour, what, reason, count in delivery_selectors.by_hour(since=since, until=until):
        yield hour, figures.name_of(what, reason), count
    yield from selectors.by_hour(since=since, until=until)


def _counted_to() -> datetime:
    """The end of the newest hour that is counted."""
    newest = HourlyFigure.objects.order_by("-hour").values_list("hour", flat=True).first()
    return newest + HOUR if newest else NEVER


def _over(now: datetime) -> datetime:
    """The end of the newest hour of which no transaction is still under way."""
    return (now - SETTLED_AFTER).astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def standing(*, now: datetime) -> Standing:
    """Read how everything stands. Writes nothing but switches that were never set."""
    audit = accuracy.audit_figures(weeks=AUDIT_WEEKS, now=now)
    own = selectors.standing(now=now)
    return Standing(
        now=now,
        switches=flags.stand(),
        queues=delivery_selectors.queues(),
        delivery=delivery_selectors.standing(),
        attendance=attendance_selectors.standing(since=now - timedelta(days=WEEK), now=now),
        nurture=own,
        audit=audit.share("strict accuracy"),
        troubles=jobs.troubles(now=now) if own.has_trouble else [],
        hour=last_hour(now=now),
        expects=_expects(),
    )


def _expects() -> list[Process]:
    """The web leaves a mark where a health check asks for one, so not on somebody's own machine."""
    web = [] if settings.IS_LOCAL else [Process.WEB]
    return web if settings.TELEGRAM_WEBHOOK_SECRET else [*web, Process.POLLER]


def windows(*, now: datetime) -> dict[str, Counts]:
    """What happened in the last hour, day and week, as `1h`, `24h` and `7d`.

    A day and a week begin with a full hour, so they are up to an hour longer.
    """
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    since = {"24h": hour - 24 * HOUR, "7d": hour - WEEK * 24 * HOUR}
    counted_to = max(_counted_to(), since["7d"])
    kept = HourlyFigure.objects.filter(hour__gte=since["7d"], count__gt=0)
    rows = [*kept.values_list("hour", "name", "count"), *_counts(counted_to, now + HOUR)]
    found = {name: Counter[str]() for name in since}
    for at, what, count in rows:
        for name, begins in since.items():
            found[name][what] += count if at >= begins else 0
    last = Counter[str]()
    for _, what, count in _counts(now - HOUR, now):
        last[what] += count
    return {"1h": last, **found}


def last_hour(*, now: datetime) -> Counts:
    """What came to its end in the hour before `now`, by the names of domain/figures.py."""
    counts = Counter[str]()
    for _, what, reason, count in delivery_selectors.by_hour(since=now - HOUR, until=now):
        counts[figures.name_of(what, reason)] += count
    return counts
