"""Reading Google's own lists of who was in a call, which people download by hand.

Meet's attendance report has clock times without a day and durations as words; the Admin console's
export has seconds, and one row for each device that left.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain

from attendance.domain.imports import BadCellError, Problem, Row, csv_rows, delimiter, parsed
from attendance.domain.intervals import Interval, length, union

_MEET = ("first name", "last name", "email", "duration", "time joined", "time exited")
_CONSOLE = ("event", "actor", "actor name", "duration (seconds)", "start time")
_LEFT = "endpoint left"  # the console's name of `call_ended`
_DURATION = re.compile(
    r"(?:(\d+) ?(?:h|hrs?|hours?))?"
    r" ?(?:(\d+) ?(?:m|mins?|minutes?))?"
    r" ?(?:(\d+) ?(?:s|secs?|seconds?))?"
)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?: ?([ap])\.?m\.?)?")
_ANY_DAY = date(2000, 1, 1)  # Meet's report gives clock times without their day


@dataclass(frozen=True, kw_only=True)
class ReportRow:
    """What a report says of one stay of one person; times as the report writes them."""

    number: int
    name: str
    address: str
    stayed: timedelta
    joined: str
    exited: str
    span: Interval | None  # only to be compared with others of the same report


def report_rows(lines: Iterable[str]) -> Iterator[ReportRow | Problem]:
    """Read Meet's attendance report or the Admin console's export; the header tells which."""
    rest = iter(lines)
    header = next(rest, "")
    named = {name.strip(' "\r\n').lower() for name in header.split(delimiter(header))}
    is_console = {"event", "actor"} <= named
    rows = csv_rows(
        chain([header], rest), required=_CONSOLE if is_console else _MEET, optional=None
    )
    if not is_console:
        return parsed(rows, _meet_row)
    return parsed((row for row in rows if _counts(row)), _console_row)


def _counts(row: Row | Problem) -> bool:
    """The console lists other events, too."""
    return isinstance(row, Problem) or row.cell("event").lower() == _LEFT


def _meet_row(row: Row) -> ReportRow:
    name = f"{row.cell('first name')} {row.cell('last name')}".strip()
    stayed = duration(row.cell("duration"))
    joined, exited = clock_time(row.cell("time joined")), clock_time(row.cell("time exited"))
    start = datetime.combine(_ANY_DAY, joined, tzinfo=UTC)
    return ReportRow(
        number=row.number,
        name=_somebody(name, row.cell("email")),
        address=row.cell("email"),
        stayed=stayed,
        joined=joined.isoformat(),
        exited=exited.isoformat(),
        span=(start, start + stayed),
    )


def _console_row(row: Row) -> ReportRow:
    seconds, starts = row.cell("duration (seconds)"), row.cell("start time")
    if not re.fullmatch(r"[0-9]{1,7}", seconds):
        raise BadCellError(f"the duration {seconds!r} is no number of seconds")
    stayed = timedelta(seconds=int(seconds))
    actor, name = row.cell("actor"), row.cell("actor name")
    span = _span(starts, stayed)
    return ReportRow(
        number=row.number,
        name=_somebody(name, actor),
        address=actor if "@" in actor else "",
        stayed=stayed,
        joined=starts,
        exited=span[1].isoformat() if span else "",
        span=span,
    )


def _somebody(name: str, other: str) -> str:
    if not name and not other:
        raise BadCellError("neither a name nor an address")
    return name or other


def _span(starts: str, stayed: timedelta) -> Interval | None:
    """The stay, where the export writes its start in a form that is known."""
    try:
        start = datetime.fromisoformat(starts)
        start = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
        return start, start + stayed
    except (ValueError, OverflowError):
        return None


def duration(text: str) -> timedelta:
    """Read `45 sec`, `58 min` or `1 hr 2 min`; raises BadCellError."""
    found = _DURATION.fullmatch(_plain(text))
    if found is None or not any(found.groups()):
        raise BadCellError(f"the duration {text!r} is not like 45 sec, 58 min or 1 hr 2 min")
    hours, minutes, seconds = (int((part or "0")[:6]) for part in found.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def clock_time(text: str) -> time:
    """Read `18:02`, `6:02 PM` or the same with seconds; raises BadCellError."""
    found = _CLOCK.fullmatch(_plain(text))
    if found is not None:
        hour, half = int(found[1]), found[4]
        if half and 1 <= hour <= 12:
            hour = hour % 12 + (12 if half == "p" else 0)
        elif half:
            hour = 24
        try:
            return time(hour, int(found[2]), int(found[3] or 0))
        except ValueError:
            pass
    raise BadCellError(f"the time {text!r} is not like 18:02 or 6:02 PM")


def _plain(text: str) -> str:
    """Lower case, and one plain space where Google's locales put narrow or hard ones."""
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


@dataclass(frozen=True, kw_only=True)
class Presence:
    """What a report says of one person in all."""

    stayed: timedelta
    joined: str
    exited: str


def together(rows: Sequence[ReportRow]) -> Presence:
    """Put the stays of one person together; two devices at once count once."""
    spans = [(row.span, row) for row in rows if row.span is not None]
    if len(spans) < len(rows):
        stayed = sum((row.stayed for row in rows), timedelta())
        return Presence(stayed=stayed, joined=rows[0].joined, exited=rows[-1].exited)
    return Presence(
        stayed=length(union(span for span, _ in spans)),
        joined=min(spans, key=lambda pair: pair[0][0])[1].joined,
        exited=max(spans, key=lambda pair: pair[0][1])[1].exited,
    )
