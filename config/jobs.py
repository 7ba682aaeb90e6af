"""The nightly work: what it is, at which hour, and within which time it has to end.

A job is one line of NIGHTLY. Its row (nurture.models.Job) says when it ran and whether somebody
holds it; staff see it in the admin under System, Jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance import services as attendance
from config import audit, retention
from config.backups import scheduled
from delivery import clock
from nurture.domain.jobs import Hour
from nurture.models import JobRun
from nurture.services import jobs
from nurture.services.jobs import Line, Work

#: The part of its time that `prune` works in; the rest is for its last batch.
PRUNE_SECONDS = 20 * 60.0


@dataclass(frozen=True, kw_only=True)
class Nightly:
    """One job with its hour on the clock of TIME_ZONE."""

    name: str
    does: str
    hour: int
    do: Callable[[datetime], Mapping[str, int]]  # now → what it counted, without personal data
    weekday: int | None = None  # 0 = Monday; None: each day
    minutes: int = 30


def _prune(now: datetime) -> Mapping[str, int]:
    found = retention.prune(now=now, seconds=PRUNE_SECONDS)
    return {one.kind: one.rows for one in found if one.rows}


def _audit(now: datetime) -> Mapping[str, int]:
    return audit.keep(now=now)


def _draw(now: datetime) -> Mapping[str, int]:
    return {"drawn": attendance.draw_audit(now=now)}


NIGHTLY: tuple[Nightly, ...] = (
    Nightly(
        name="backup", hour=2, do=scheduled.nightly, minutes=60,
        does="Takes a backup into the storage, if one is named; lets old ones go.",
    ),
    Nightly(
        name="prune", hour=3, do=_prune,
        does="Lets go what is older than its kind is kept; old deliveries go to the archive.",
    ),
    Nightly(
        name="audit", hour=4, do=_audit,
        does="Looks for what breaks an invariant; each finding leads to its row.",
    ),
    Nightly(
        name="draw-audit", hour=5, weekday=0, do=_draw,
        does="Draws twenty outcomes of last week for people to judge.",
    ),
)  # fmt: skip


def lines() -> list[Line]:
    """The jobs as lines of the timetable."""
    return [Line(name=job.name, does=job.does, hour=Hour(job.hour, job.weekday)) for job in NIGHTLY]


def works() -> dict[str, Work]:
    """What each job does."""
    return {job.name: Work(do=job.do, within=timedelta(minutes=job.minutes)) for job in NIGHTLY}


def run_due() -> list[JobRun]:
    """Run what is due now, in this process. Safe to call anywhere, and twice."""
    return jobs.run_due(works=works(), clock=clock.now)
