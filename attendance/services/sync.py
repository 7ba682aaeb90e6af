"""Reading Google: the calendars, then the Meet log, then what belongs to whom.

Windows overlap and everything is an upsert, so a reading may be repeated, doubled or broken off
at any point: late records appear behind any cursor. A window counts as read only after its last
page; only such windows let anybody be called missed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings
from django.db.models import Max

from attendance import google as google_door
from attendance.domain import windows
from attendance.domain.calendar import parse_event
from attendance.domain.kinds import RunKind, RunState, Source
from attendance.google import Failure, Google, GoogleError
from attendance.models import Course, SyncRun
from attendance.services.ingest import store_page
from attendance.services.matching import match, wake_waiting
from attendance.services.roster import upsert_course
from attendance.services.timetable import store_events

log = logging.getLogger(__name__)

_WORST = (RunState.CONFIG_ERROR, RunState.FAILED, RunState.PARTIAL, RunState.COMPLETE)


@dataclass(frozen=True, kw_only=True)
class SyncReport:
    """What a reading brought; `state` is the worst of its runs."""

    state: str = RunState.COMPLETE.value
    runs: int = 0
    activities: int = 0  # new records
    duplicates: int = 0
    ignored: int = 0  # records of other kinds
    sessions: int = 0  # classes that are new or changed
    errors: tuple[str, ...] = ()


def sync(
    *,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
    google: Google | None = None,
) -> SyncReport:
    """Read the calendars and the Meet log up to `now`, and match what came.

    With `since` or `until` exactly that window of the log is read (an end in the future is taken
    as `now`), and the calendars a day around it and up to the classes ahead. Without them the
    reading goes on where the last complete one ended. Errors of Google are in the report and in
    SyncRun rows; nothing is half-written and the watermark stays where it was. Raises GoogleError
    only where Google is not set up at all.
    """
    door = google or google_door.from_settings()
    report = _read_calendars(door, now=now, since=since, until=until)
    report = _read_log(door, report, now=now, since=since, until=until)
    match(now=now)
    return report


def _read_calendars(
    door: Google, *, now: datetime, since: datetime | None, until: datetime | None
) -> SyncReport:
    report = SyncReport()
    for calendar_id in _calendar_ids():
        course = upsert_course(calendar_id=calendar_id, now=now)
        starts_at, ends_at = _calendar_window(now=now, since=since, until=until)
        kind = RunKind.ROUTINE if since is None and until is None else RunKind.MANUAL
        run = _begin(Source.CALENDAR, kind, starts_at, ends_at, now)
        changed = 0
        try:
            for page in door.events(calendar_id=calendar_id, starts_at=starts_at, ends_at=ends_at):
                events = [event for event in map(parse_event, page) if event is not None]
                change = store_events(course=course, events=events, now=now)
                changed += change.new + change.changed
                run.pages += 1
                run.new_rows += change.new
                run.duplicate_rows += change.unchanged
        except GoogleError as error:
            report = _with_error(
                report, run, f"calendar {calendar_id}: {error}", error.failure, now
            )
        else:
            _finish(run, RunState.COMPLETE, now)
        report = replace(report, runs=report.runs + 1, sessions=report.sessions + changed)
    return report


def _calendar_ids() -> list[str]:
    known = Course.objects.filter(active=True).values_list("calendar_id", flat=True)
    return sorted(set(known) | set(settings.GOOGLE_CALENDAR_IDS))


def _calendar_window(
    *, now: datetime, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime]:
    if since is None and until is None:
        complete = SyncRun.objects.filter(source=Source.CALENDAR, state=RunState.COMPLETE)
        first = not complete.exists() or Course.objects.filter(sessions=None).exists()
        return windows.calendar_window(now=now, first=first)
    back = since or now - windows.FIRST_LOOK_BACK
    return windows.calendar_window_for(now=now, since=back, until=until or now)


def _read_log(
    door: Google,
    report: SyncReport,
    *,
    now: datetime,
    since: datetime | None,
    until: datetime | None,
) -> SyncReport:
    """Read window by window, oldest first; the first that fails ends the reading."""
    for window in _log_windows(now=now, since=since, until=until):
        run = _begin(Source.MEET, window.kind, window.starts_at, window.ends_at, now)
        report = replace(report, runs=report.runs + 1)
        try:
            pages = door.activities(starts_at=window.starts_at, ends_at=window.ends_at)
            report = _store(pages, run, report, now)
        except GoogleError as error:
            report = _with_error(report, run, f"Meet log: {error}", error.failure, now)
            break
        _finish(run, RunState.COMPLETE, now)
        wake_waiting(since=window.starts_at, now=now)
    return report


def _store(
    pages: Iterable[google_door.Page], run: SyncRun, report: SyncReport, now: datetime
) -> SyncReport:
    for page in pages:
        stored = store_page(run=run, items=page, now=now)
        run.pages += 1
        run.new_rows += stored.new
        run.duplicate_rows += stored.duplicates
        run.ignored_rows += stored.ignored
        newest = [at for at in (run.newest_event_at, stored.newest_event_at) if at]
        run.newest_event_at = max(newest, default=None)
        report = replace(
            report,
            activities=report.activities + stored.new,
            duplicates=report.duplicates + stored.duplicates,
            ignored=report.ignored + stored.ignored,
        )
    return report


def _log_windows(
    *, now: datetime, since: datetime | None, until: datetime | None
) -> Sequence[windows.ReadWindow]:
    if since is not None or until is not None:
        ends_at = min(until or now, now)
        starts_at = since or ends_at - windows.FIRST_LOOK_BACK
        return windows.slices(starts_at=starts_at, ends_at=ends_at, kind=RunKind.MANUAL)
    complete = SyncRun.objects.filter(source=Source.MEET, state=RunState.COMPLETE)
    routine = complete.exclude(kind=RunKind.MANUAL)

    def newest(*kinds: RunKind) -> datetime | None:
        found: datetime | None = complete.filter(kind__in=kinds).aggregate(at=Max("window_end_at"))[
            "at"
        ]
        return found

    return windows.log_windows(
        now=now,
        # A reading by hand of some window in the middle says nothing of what lies before it.
        watermark=routine.aggregate(at=Max("window_end_at"))["at"],
        hourly_at=newest(RunKind.HOURLY),
        nightly_at=newest(RunKind.NIGHTLY, RunKind.BACKFILL),
    )


def _begin(
    source: Source, kind: RunKind, starts_at: datetime, ends_at: datetime, now: datetime
) -> SyncRun:
    return SyncRun.objects.create(
        source=source.value,
        kind=kind.value,
        window_start_at=starts_at,
        window_end_at=ends_at,
        started_at=now,
    )


def _finish(run: SyncRun, state: RunState, now: datetime, error: str = "") -> None:
    run.state, run.finished_at, run.error = state.value, now, error[:2000]
    run.save()


def _with_error(
    report: SyncReport, run: SyncRun, said: str, failure: Failure, now: datetime
) -> SyncReport:
    config = failure in {Failure.CONFIG, Failure.NOT_FOUND}
    state = RunState.CONFIG_ERROR if config else RunState.FAILED
    if run.pages and not config:
        state = RunState.PARTIAL
    _finish(run, state, now, said)
    log.warning("attendance.sync_failed", extra={"source": run.source, "state": state.value})
    worst = min(report.state, state.value, key=[s.value for s in _WORST].index)
    return replace(report, state=worst, errors=(*report.errors, said))
