"""Run what is due at an hour: claimed in its row, so that any number of clocks may try.

`now` is the database's clock everywhere, leases too: a job is a matter of minutes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from nurture.domain.jobs import FORGOTTEN, OVERDUE, Hour, next_run
from nurture.models import Job, JobRun, RunOutcome

log = logging.getLogger(__name__)

Counts = Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of the timetable: a bell that looks each few seconds, or a job with its hour."""

    name: str
    does: str
    every_seconds: float | None = None
    hour: Hour | None = None


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a job does, and within which time; whoever takes longer counts as dead."""

    do: Callable[[datetime], Counts]
    within: timedelta


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A job that somebody should look at."""

    name: str
    kind: str  # failed | overdue
    since: datetime
    error: str = ""
    tries: int = 0


_NOTE = """
UPDATE nurture_job j
   SET looked_at = clock_timestamp(),
       rang_at = coalesce(clock_timestamp() - v.ago * interval '1 s', j.rang_at)
  FROM unnest(%s::text[], %s::float[]) AS v(name, ago)
 WHERE j.name = v.name AND j.every_seconds IS NOT NULL
"""


@transaction.atomic
def list_jobs(*, lines: Iterable[Line], now: datetime) -> None:
    """Make the rows say what the timetable says; what is not in it goes. Safe to run twice.

    A new job has its first run at its next hour, and one whose hour changed, too.
    """
    wanted = {line.name: line for line in lines}
    with connection.cursor() as cursor:  # clocks that start together take turns
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('nurture_job'))")
    Job.objects.exclude(name__in=wanted).delete()
    known = {row.name: row for row in Job.objects.select_for_update(no_key=True).order_by("name")}
    for line in wanted.values():
        row = known.get(line.name) or Job(name=line.name)
        hour = (line.hour.hour, line.hour.weekday) if line.hour else (None, None)
        if line.hour and (row.next_at is None or (row.hour, row.weekday) != hour):
            row.next_at = line.hour.after(now, _zone())
        row.does, row.every_seconds, (row.hour, row.weekday) = line.does, line.every_seconds, hour
        if line.hour is None:
            row.next_at = None
        row.save()


def note_bells(*, rang: Mapping[str, float | None]) -> None:
    """Note that the clock looks, and how many seconds ago it rang each bell (None: not lately).

    Real time, one statement; the clock calls it every quarter of a minute.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NOTE, [list(rang), list(rang.values())])


def are_due(*, now: datetime) -> bool:
    """Whether a job waits for somebody to run it, or was left behind by who did."""
    return _due(now).exists() or Job.objects.filter(lease_until__lte=now).exists()


def run_due(*, works: Mapping[str, Work], clock: Callable[[], datetime]) -> list[JobRun]:
    """Run every job that is due, one after the other; return the runs of this process.

    Safe to call in many processes: each run is one process's. What a job raises is noted, told to
    the log, and does not hold back the next.
    """
    done = []
    while run := claim(works=works, now=clock()):
        _run(run, works[run.job_id], clock)
        done.append(run)
    return done


def _run(run: JobRun, work: Work, clock: Callable[[], datetime]) -> None:
    try:
        counts = work.do(clock())
    except Exception as error:
        log.exception("job.failed", extra={"job": run.job_id})
        finish(run=run, outcome=RunOutcome.FAILED, error=type(error).__name__, now=clock())
    except BaseException:  # the process is being stopped
        finish(run=run, outcome=RunOutcome.DIED, error="stopped", now=clock())
        raise
    else:
        finish(run=run, outcome=RunOutcome.DONE, counts=counts, now=clock())
        log.info("job.done", extra={"job": run.job_id, **counts})


@transaction.atomic
def claim(*, works: Mapping[str, Work], now: datetime) -> JobRun | None:
    """Take the job that has waited longest, of those that this process knows; None: none waits.

    Jobs whose process died come first to be marked so, and are due again by `next_run`.
    """
    _bury(now)
    rows = _due(now).filter(name__in=works).order_by("next_at", "name")
    row = rows.select_for_update(no_key=True, skip_locked=True).first()
    if row is None:
        return None
    run = JobRun.objects.create(job=row, started_at=now, by=row.wanted_by)
    row.lease_until = now + works[row.name].within
    row.wanted_at, row.wanted_by = None, ""
    row.save(update_fields=["lease_until", "wanted_at", "wanted_by"])
    return run


def _due(now: datetime) -> QuerySet[Job]:
    waits = Q(paused_at__isnull=True, next_at__lte=now) | Q(wanted_at__isnull=False)
    return Job.objects.filter(waits, hour__isnull=False, lease_until__isnull=True)


def _bury(now: datetime) -> None:
    """Runs whose time is over: whoever had them is dead, or hangs."""
    lost = Job.objects.filter(lease_until__lte=now).select_for_update(no_key=True, skip_locked=True)
    for row in lost.order_by("name"):
        log.warning("job.died", extra={"job": row.name})
        rows = JobRun.objects.filter(job=row, outcome=RunOutcome.RUNNING)
        rows.update(outcome=RunOutcome.DIED, error="no end in time", finished_at=now)
        _settle(row, good=False, now=now)


@transaction.atomic
def finish(
    *,
    run: JobRun,
    outcome: RunOutcome,
    now: datetime,
    error: str = "",
    counts: Counts | None = None,
) -> bool:
    """Note how a run ended, and when the job is due again.

    False where somebody else has called it dead meanwhile: then that stands.
    """
    row = Job.objects.select_for_update(no_key=True).filter(pk=run.job_id).first()
    mine = JobRun.objects.filter(pk=run.pk, outcome=RunOutcome.RUNNING)
    run.outcome, run.error, run.counts, run.finished_at = outcome, error, dict(counts or {}), now
    if row is None or not mine.update(
        outcome=outcome, error=error, counts=run.counts, finished_at=now
    ):
        return False
    _settle(row, good=outcome == RunOutcome.DONE, now=now)
    return True


def _settle(row: Job, *, good: bool, now: datetime) -> None:
    assert row.hour is not None, "bells are not claimed"
    row.lease_until, row.tries = None, 0 if good else row.tries + 1
    hour = Hour(row.hour, row.weekday)
    row.next_at = next_run(hour=hour, good=good, tries=row.tries, now=now, zone=_zone())
    row.save(update_fields=["lease_until", "tries", "next_at"])


def pause(*, names: Iterable[str], by: str, why: str, now: datetime) -> int:
    """Let no run of these begin; one under way comes to its end. Returns how many were not paused.

    Bells have no pause: their switches and gates hold them. Safe to run twice.
    """
    rows = Job.objects.filter(name__in=list(names), hour__isnull=False, paused_at__isnull=True)
    return rows.update(paused_at=now, paused_by=by, paused_why=why)


def resume(*, names: Iterable[str]) -> int:
    """Let them run again: at once, once, where their hour came meanwhile. Safe to run twice."""
    rows = Job.objects.filter(name__in=list(names), paused_at__isnull=False)
    return rows.update(paused_at=None, paused_by="", paused_why="")


def run_now(*, names: Iterable[str], by: str, now: datetime) -> int:
    """Have these run within seconds, paused or not; return how many. Safe to run twice."""
    rows = Job.objects.filter(name__in=list(names), hour__isnull=False, lease_until__isnull=True)
    return rows.update(wanted_at=now, wanted_by=by)


def troubles(*, now: datetime) -> list[Trouble]:
    """Jobs whose last run came to nothing, and jobs that should have run an hour ago: a day ago,
    where somebody paused them. A run that should have ended an hour ago counts as none.

    For alerts: one for each, known again by its name until it is not among them any more.
    """
    failed = Job.objects.filter(tries__gt=0, hour__isnull=False).order_by("name")
    last = {
        run.job_id: run
        for run in JobRun.objects.filter(job__in=failed).exclude(outcome="").order_by("started_at")
    }
    late = Job.objects.filter(
        Q(paused_at__isnull=True) | Q(next_at__lt=now - FORGOTTEN),
        Q(lease_until__isnull=True) | Q(lease_until__lt=now - OVERDUE),
        tries=0, next_at__lt=now - OVERDUE,
    )  # fmt: skip
    return [
        *(
            Trouble(
                name=row.name, kind="failed", since=last[row.name].finished_at or now,
                error=last[row.name].error, tries=row.tries,
            )
            for row in failed
            if row.name in last
        ),
        *(
            Trouble(name=row.name, kind="overdue", since=row.next_at or now)
            for row in late.order_by("name")
        ),
    ]  # fmt: skip


def with_last_run(rows: QuerySet[Job]) -> QuerySet[Job]:
    """Jobs, each with its last run that came to an end and whether one is under way."""
    runs = JobRun.objects.filter(job=OuterRef("pk"))
    ended = runs.exclude(outcome=RunOutcome.RUNNING).order_by("-started_at")
    return rows.annotate(
        last_started=ended.values("started_at")[:1],
        last_finished=ended.values("finished_at")[:1],
        last_outcome=ended.values("outcome")[:1],
        last_error=ended.values("error")[:1],
        runs_now=Exists(runs.filter(outcome=RunOutcome.RUNNING)),
    )


def _zone() -> ZoneInfo:
    return ZoneInfo(settings.TIME_ZONE)
