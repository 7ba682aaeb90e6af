"""What happened by day and how everything stands now, for whoever shows or judges it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from attendance.domain.evaluation import Share as AuditShare
from attendance.selectors import accuracy
from attendance.selectors import figures as attendance
from delivery import selectors as delivery
from nurture import flags, selectors
from nurture.domain import figures
from nurture.domain.figures import Day

DAYS = 14  # of a trend
WEEK = 7  # what a figure is taken from
AUDIT_WEEKS = 8


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How everything stands now, from a dozen cheap statements."""

    now: datetime
    switches: flags.Stand
    queues: list[delivery.Queue]  # every gate, with what is due behind it
    delivery: delivery.Standing
    attendance: attendance.Standing
    nurture: selectors.Standing
    audit: AuditShare

    @property
    def gates(self) -> list[delivery.Queue]:
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

    Two statements, however many deliveries there are.
    """
    today = now.astimezone(ZoneInfo(zone)).date()
    first = today - timedelta(days=count - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=ZoneInfo(zone))
    delivered = delivery.by_day(since=since, zone=zone)
    rows = [(day, figures.name_of(what, reason), n) for day, what, reason, n in delivered]
    walked = selectors.by_day(since=since, zone=zone)
    return figures.calendar([*rows, *walked], until=today, days=count)


def standing(*, now: datetime) -> Standing:
    """Read how everything stands. Writes nothing but switches that were never set."""
    audit = accuracy.audit_figures(weeks=AUDIT_WEEKS, now=now)
    return Standing(
        now=now,
        switches=flags.stand(),
        queues=delivery.queues(),
        delivery=delivery.standing(),
        attendance=attendance.standing(since=now - timedelta(days=WEEK), now=now),
        nurture=selectors.standing(),
        audit=audit.share("strict accuracy"),
    )
