"""What is kept for how long, and how the rest goes: docs/privacy.md has the same table.

Each batch is a transaction of its own, so a run may be broken off anywhere, and the next one goes
on. Nothing here is needed by a journey under way, a cap, an answer to "was this owed before?", or
the figures: hours that are over were counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from axes.models import AccessAttempt
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet

from attendance.models import Activity, SyncRun
from delivery import services as delivery
from delivery.models import Heartbeat, InboundUpdate
from nurture.models import (
    OPEN,
    AlertEpisode,
    AlertSilence,
    AuditFinding,
    BacktestRun,
    BackupRun,
    Decision,
    DryRunVerdict,
    JobRun,
    Journey,
    LinkToken,
    PledgeQuestion,
    StaffTask,
)
from nurture.services.archive import archivable, archive_some

AT_ONCE = 2_000
#: Longer than this nothing waits for a journey that never ends.
AT_MOST = timedelta(days=400)

Rows = Callable[[datetime], QuerySet[Any]]


@dataclass(frozen=True, kw_only=True)
class Policy:
    """One kind of rows, and for how many days it is kept; `stays` says what is kept for longer."""

    kind: str
    days: int
    goes: str
    stays: str = ""
    rows: Rows  # what was before a moment and may go
    some: Callable[[datetime], int] | None = None  # one batch, where it is not simply deleted


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What came of one kind; in a dry run, what would."""

    kind: str
    rows: int
    done: bool  # nothing of it is left


def _updates(before: datetime) -> QuerySet[InboundUpdate]:
    """`replied` asks back to where a journey began; the newest says when we were written to."""
    begun = Journey.objects.filter(status__in=OPEN).aggregate(at=Min("started_at"))["at"]
    until = max(min(before, begun or before), before - AT_MOST)
    newest = InboundUpdate.objects.aggregate(pk=Max("pk"))["pk"]
    return InboundUpdate.objects.filter(handled_at__isnull=False, received_at__lt=until).exclude(
        pk=newest
    )


def _readings(before: datetime) -> QuerySet[SyncRun]:
    """Those without records; the newest of each source says how far it is read."""
    newest = SyncRun.objects.filter(state="complete").values("source").annotate(last=Max("pk"))
    rows = SyncRun.objects.filter(finished_at__lt=before).exclude(pk__in=newest.values("last"))
    return rows.filter(~Exists(Activity.objects.filter(run=OuterRef("pk"))))


def _decisions(before: datetime) -> QuerySet[Decision]:
    over = Q(journey__isnull=True) | Q(journey__ended_at__lt=before)
    return Decision.objects.filter(over, decided_at__lt=before)


#: In the order in which they go: what points at something before it.
POLICIES: tuple[Policy, ...] = (
    Policy(
        kind="dry runs", days=90, goes="what staff said of a dry run's messages",
        rows=lambda before: DryRunVerdict.objects.filter(at__lt=before),
    ),
    Policy(
        kind="deliveries", days=90, goes="into the archive, with their tries",
        stays="what is owed, and all of a journey under way",
        rows=lambda before: archivable(before=before),
        some=lambda before: archive_some(before=before),
    ),
    Policy(
        kind="updates", days=90, goes="what learners wrote and pressed",
        stays="while a journey is under way that began before, for 490 days at most",
        rows=_updates,
    ),
    Policy(
        kind="Google records", days=200, goes="raw records of the Meet log",
        stays="calls, devices and stays: what outcomes were concluded from",
        rows=lambda before: Activity.objects.filter(event_time__lt=before),
    ),
    Policy(
        kind="Google readings", days=400, goes="readings of Google without records",
        stays="the newest complete one of each source", rows=_readings,
    ),
    Policy(
        kind="decisions", days=400, goes="why things went as they did",
        stays="those of journeys that ended later, or are under way", rows=_decisions,
    ),
    Policy(
        kind="questions", days=400, goes="who was asked whether they come",
        rows=lambda before: PledgeQuestion.objects.filter(session__ends_at__lt=before),
    ),
    Policy(
        kind="tasks", days=400, goes="tasks of staff that are done",
        rows=lambda before: StaffTask.objects.filter(done_at__lt=before),
    ),
    Policy(
        kind="backtests", days=90, goes="backtests and their results",
        rows=lambda before: BacktestRun.objects.filter(finished_at__lt=before),
    ),
    Policy(
        kind="links", days=30, goes="links to the bot that are no longer good",
        rows=lambda before: LinkToken.objects.filter(expires_at__lt=before),
    ),
    Policy(
        kind="heartbeats", days=400, goes="which processes were alive",
        rows=lambda before: Heartbeat.objects.filter(hour__lt=before),
    ),
    Policy(
        kind="job runs", days=90, goes="runs of jobs",
        rows=lambda before: JobRun.objects.filter(finished_at__lt=before),
    ),
    Policy(
        kind="alerts", days=400, goes="alerts that are over, and to whom they were told",
        rows=lambda before: AlertEpisode.objects.filter(resolved_at__lt=before),
    ),
    Policy(
        kind="silences", days=400, goes="who wanted quiet, when and why",
        rows=lambda before: AlertSilence.objects.filter(until__lt=before),
    ),
    Policy(
        kind="backups", days=400, goes="notes of backups and rehearsals",
        stays="the files, by a retention of their own",
        rows=lambda before: BackupRun.objects.filter(finished_at__lt=before),
    ),
    Policy(
        kind="findings", days=400, goes="findings of the audit that are gone",
        rows=lambda before: AuditFinding.objects.filter(gone_at__lt=before),
    ),
    Policy(
        kind="sessions", days=1, goes="logins of staff that have expired",
        rows=lambda before: Session.objects.filter(expire_date__lt=before),
    ),
    Policy(
        kind="login failures", days=90, goes="who could not log in",
        rows=lambda before: AccessAttempt.objects.filter(attempt_time__lt=before),
    ),
    Policy(
        kind="audit log", days=1_100, goes="what staff did",
        rows=lambda before: LogEntry.objects.filter(action_time__lt=before),
    ),
)  # fmt: skip
#: Months of the archive that were over so long ago are dropped whole.
ARCHIVE_DAYS = 400


def prune(*, now: datetime, seconds: float = float("inf")) -> list[Pruned]:
    """Let go what is older than its kind is kept, for at most about `seconds`.

    Safe to break off, to run twice, and in two processes at once.
    """
    deadline = time.monotonic() + seconds
    done = [_prune(policy, now - timedelta(days=policy.days), deadline) for policy in POLICIES]
    oldest = now - timedelta(days=ARCHIVE_DAYS)
    dropped = delivery.drop_months(before=oldest)
    left = any(month.ends <= oldest for month in delivery.months())
    return [*done, Pruned(kind="archive months", rows=len(dropped), done=not left)]


def _prune(policy: Policy, before: datetime, deadline: float) -> Pruned:
    total = 0
    while time.monotonic() < deadline:
        found = policy.some(before) if policy.some else _delete_some(policy.rows(before))
        if not found:
            return Pruned(kind=policy.kind, rows=total, done=True)
        total += found
    return Pruned(kind=policy.kind, rows=total, done=False)


def _delete_some(rows: QuerySet[Any]) -> int:
    """One batch. Whatever points at it is emptied or goes along, as its models say."""
    with transaction.atomic():
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
        rows.filter(pk__in=keys).delete()
    return len(keys)


def foresee(*, now: datetime) -> Iterator[Pruned]:
    """How many rows of each kind `prune` would let go; writes nothing."""
    for policy in POLICIES:
        rows = policy.rows(now - timedelta(days=policy.days)).count()
        yield Pruned(kind=policy.kind, rows=rows, done=not rows)
    oldest = now - timedelta(days=ARCHIVE_DAYS)
    over = sum(month.ends <= oldest for month in delivery.months())
    yield Pruned(kind="archive months", rows=over, done=not over)
