"""Reading Google: the calendars, then the Meet log, then what belongs to whom.

Windows overlap and everything is an upsert, so a reading may be repeated, doubled or broken off
at any point: late records appear behind any cursor. A window counts as read only after its last
page; only such windows let anybody be called missed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.db.models import Max

from attendance import google as google_door
from attendance.domain import windows
from attendance.domain.calendar import parse_events
from attendance.domain.kinds import ReviewKind, RunKind, RunState, Source
from attendance.google import Google
from attendance.google_errors import Failure, GoogleError
from attendance.models import Course, ReviewItem, SyncRun
from attendance.selectors.history import calendar_ids
from attendance.selectors.lag import measured_lag
from attendance.services.ingest import store_page
from attendance.services.matching import match, wake_waiting
from attendance.services.questions import answer_itself, answer_known, ask
from attendance.services.roster import upsert_course
from attendance.services.timetable import call_off_unlisted, store_events
from config.console.zone_names import known_zones

log = logging.getLogger(__name__)

PAGES_AT_MOST = 1000  # of a thousand records; a window that is larger is not read to its end
SKEW_AT_MOST = 60.0  # seconds between Google's clock and ours
TIMELY = timedelta(hours=1)
BROKEN_OFF_AFTER = timedelta(hours=1)
DARK_AFTER = timedelta(minutes=45)
TITLE_AT_MOST = 200
MEET_LOG = "meet"
_ROUTINE = (RunKind.ROUTINE, RunKind.HOURLY, RunKind.NIGHTLY)
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
    insist: bool = False,
) -> SyncReport:
    """Read the calendars and the Meet log up to `now`, and match what came.

    With `since` or `until` exactly that window of the log is read (an end in the future is taken
    as `now`), and the calendars a day around it and up to the classes ahead. Without them the
    reading goes on where the last complete one ended. `insist` tries also where the circuit is
    open. Errors of Google are in the report and in
    SyncRun rows; nothing is half-written and the watermark stays where it was. Raises GoogleError
    only where Google is not set up at all.
    """
    door = google or google_door.from_settings(insist=insist)
    _close_broken_off(now)
    report = _read_calendars(door, now=now, since=since, until=until)
    report = _read_log(door, report, now=now, since=since, until=until)
    match(now=now)  # what a reading that failed has brought, or the calendars
    answer_known(now=now)
    return report


def _close_broken_off(now: datetime) -> None:
    """A reading whose process died says nothing; it must not look as if it were under way."""
    SyncRun.objects.filter(state=RunState.RUNNING, started_at__lt=now - BROKEN_OFF_AFTER).update(
        state=RunState.FAILED.value, finished_at=now, error="broken off: the process ended"
    )


def _read_calendars(
    door: Google, *, now: datetime, since: datetime | None, until: datetime | None
) -> SyncReport:
    report = SyncReport()
    for calendar_id in calendar_ids():
        course = upsert_course(calendar_id=calendar_id, now=now)
        starts_at, ends_at = _calendar_window(now=now, since=since, until=until)
        kind = RunKind.ROUTINE if since is None and until is None else RunKind.MANUAL
        run = _begin(Source.CALENDAR, kind, starts_at, ends_at, now)
        changed, listed = 0, set[str]()
        try:
            for page in door.events(calendar_id=calendar_id, starts_at=starts_at, ends_at=ends_at):
                course = _as_told(course, page, now)
                events = parse_events(page.events)
                change = store_events(course=course, events=events, now=now)
                changed += change.new + change.changed
                listed |= {str(item.get("id")) for item in page.events}
                run.pages += 1
                run.new_rows += change.new
                run.duplicate_rows += change.unchanged
        except GoogleError as error:
            report = _with_error(report, run, f"calendar {calendar_id}: {error}", error, now)
            _alert(run, calendar_id, now)
        else:
            changed += call_off_unlisted(
                course=course, listed=listed, since=starts_at, until=ends_at, now=now
            )
            _finish(run, RunState.COMPLETE, now)
            answer_itself(keys=[_dark_key(calendar_id)], now=now)
        report = replace(report, runs=report.runs + 1, sessions=report.sessions + changed)
    return report


def _as_told(course: Course, page: google_door.CalendarPage, now: datetime) -> Course:
    """The calendar's name and zone are the course's, until staff give it others."""
    title = "" if course.title else page.title[:TITLE_AT_MOST]
    zone = "" if course.time_zone else page.time_zone
    if zone and zone not in known_zones():
        zone = ""
    if not title and not zone:
        return course
    return upsert_course(calendar_id=course.calendar_id, title=title, time_zone=zone, now=now)


def _calendar_window(
    *, now: datetime, since: datetime | None, until: datetime | None
) -> tuple[datetime, datetime]:
    if since is None and until is None:
        complete = SyncRun.objects.filter(source=Source.CALENDAR, state=RunState.COMPLETE)
        last = complete.aggregate(at=Max("started_at"))["at"]
        first = Course.objects.filter(sessions=None).exists()
        return windows.calendar_window(now=now, last_read_at=None if first else last)
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
    timely_from = _timely_from(now)
    for window in _log_windows(now=now, since=since, until=until):
        report, run = _read_window(door, window, report, timely_from=timely_from, now=now)
        if run.failure == Failure.INVALID:
            # A window or page token that Google takes no more: once more from its start.
            report, run = _read_window(door, window, report, timely_from=timely_from, now=now)
        report = _with_state(report, run)
        if run.state != RunState.COMPLETE:
            _alert(run, MEET_LOG, now)
            break
        answer_itself(keys=[_dark_key(MEET_LOG)], now=now)
        wake_waiting(since=window.starts_at, now=now)
    return report


def _read_window(
    door: Google,
    window: windows.ReadWindow,
    report: SyncReport,
    *,
    timely_from: datetime | None,
    now: datetime,
) -> tuple[SyncReport, SyncRun]:
    run = _begin(Source.MEET, window.kind, window.starts_at, window.ends_at, now)
    report = replace(report, runs=report.runs + 1)
    timely_from = timely_from if window.kind in _ROUTINE else None
    try:
        for page in door.activities(starts_at=window.starts_at, ends_at=window.ends_at):
            if run.pages == PAGES_AT_MOST:
                _finish(run, RunState.PARTIAL, now, f"more than {PAGES_AT_MOST} pages")
                return report, run
            report = _store(page, run, report, timely_from=timely_from, now=now)
    except GoogleError as error:
        _fail(run, f"Meet log: {error}", error, now)
    else:
        run.clock_skew_seconds = door.clock_skew_seconds
        if abs(run.clock_skew_seconds or 0) > SKEW_AT_MOST:
            log.warning("attendance.clock_skew", extra={"seconds": run.clock_skew_seconds})
        run.lag_p50_seconds, run.lag_p95_seconds, run.lag_p99_seconds = measured_lag(now=now)
        # Before it counts as read: nobody may be missed whose record is here, and not yet theirs.
        match(now=now)
        _finish(run, RunState.COMPLETE, now)
    return report, run


def _store(
    page: google_door.Page,
    run: SyncRun,
    report: SyncReport,
    *,
    timely_from: datetime | None,
    now: datetime,
) -> SyncReport:
    stored = store_page(run=run, items=page, now=now, timely_from=timely_from)
    run.pages += 1
    run.new_rows += stored.new
    run.duplicate_rows += stored.duplicates
    run.ignored_rows += stored.ignored
    newest = [at for at in (run.newest_event_at, stored.newest_event_at) if at]
    run.newest_event_at = max(newest, default=None)
    return replace(
        report,
        activities=report.activities + stored.new,
        duplicates=report.duplicates + stored.duplicates,
        ignored=report.ignored + stored.ignored,
    )


def _timely_from(now: datetime) -> datetime | None:
    """From which event time on a new record is late by Google's doing, not by ours.

    The routine reading before this one looked there already, and not long ago. A back-fill
    finds records that are weeks old; that is our lag.
    """
    before = SyncRun.objects.filter(
        source=Source.MEET, state=RunState.COMPLETE, kind__in=_ROUTINE
    ).order_by("-window_end_at").first()  # fmt: skip
    if before is None or before.window_end_at < now - TIMELY:
        return None
    return before.window_start_at


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


def _fail(run: SyncRun, said: str, error: GoogleError, now: datetime) -> None:
    config = error.failure in {Failure.CONFIG, Failure.NOT_FOUND}
    state = RunState.CONFIG_ERROR if config else RunState.FAILED
    if run.pages and not config:
        state = RunState.PARTIAL
    run.failure = error.failure.value
    _finish(run, state, now, said)
    log.warning("attendance.sync_failed", extra={"source": run.source, "state": state.value})


def _with_error(
    report: SyncReport, run: SyncRun, said: str, error: GoogleError, now: datetime
) -> SyncReport:
    _fail(run, said, error, now)
    return _with_state(report, run)


def _with_state(report: SyncReport, run: SyncRun) -> SyncReport:
    worst = min(report.state, run.state, key=[s.value for s in _WORST].index)
    errors = (*report.errors, run.error) if run.error else report.errors
    return replace(report, state=worst, errors=errors)


def _dark_key(what: str) -> str:
    return f"{ReviewKind.GOOGLE_DARK}:{what}"


def _alert(run: SyncRun, what: str, now: datetime) -> None:
    """Tell staff once that Google is dark: at once where a person must act, else after a while."""
    complete = SyncRun.objects.filter(source=run.source, state=RunState.COMPLETE)
    if run.source == Source.MEET:
        newest = complete.aggregate(at=Max("window_end_at"))["at"]
        dark_for_long = newest is None or newest < now - DARK_AFTER
        if run.state != RunState.CONFIG_ERROR and not dark_for_long:
            return
    elif run.state != RunState.CONFIG_ERROR:
        return
    ask(
        [
            ReviewItem(
                kind=ReviewKind.GOOGLE_DARK.value,
                key=_dark_key(what),
                evidence={"what": what, "said": run.error, "state": run.state},
                created_at=now,
            )
        ]
    )
