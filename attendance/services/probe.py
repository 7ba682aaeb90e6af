"""A first look at a school's Google: what answers, and what its records carry. Never a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any

from attendance import google as google_door
from attendance.domain.records import CALL_ENDED, parse_page
from attendance.google_errors import GoogleError
from attendance.selectors.lag import measured_lag

LOOKS_BACK = timedelta(days=7)
CALENDAR_AROUND = timedelta(days=7)
PAGES_AT_MOST = 3


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One part of Google: whether it answers, and how many rows it showed."""

    name: str
    ok: bool
    said: str
    rows: int = 0


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What was found; names and shares only."""

    ok: bool
    answers: tuple[Answer, ...]
    parameters: Mapping[str, int] = field(default_factory=dict)  # name → records that have it
    other_events: Mapping[str, int] = field(default_factory=dict)
    records: int = 0
    unreadable: int = 0
    with_start: float | None = None
    with_identifier: float | None = None
    with_calendar_id: float | None = None
    lag_seconds: tuple[int | None, int | None, int | None] = (None, None, None)
    clock_skew_seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The form in which the command prints it."""
        return asdict(self)


def probe(*, calendar_ids: Iterable[str], now: datetime) -> Probe:
    """Ask Google for a little of everything; write nothing. Safe to run at any time.

    Raises GoogleError only where Google is not set up at all.
    """
    door = google_door.from_settings(insist=True)
    answers, items = [], []
    try:
        pages = door.activities(starts_at=now - LOOKS_BACK, ends_at=now)
        for _, page in zip(range(PAGES_AT_MOST), pages, strict=False):
            items += page
        answers.append(Answer(name="Meet log", ok=True, said="answers", rows=len(items)))
    except GoogleError as error:
        answers.append(Answer(name="Meet log", ok=False, said=str(error)))
    for calendar_id in calendar_ids:
        answers.append(_ask_calendar(door, calendar_id, now))
    return _describe(items, answers, door, now)


def _ask_calendar(door: google_door.Google, calendar_id: str, now: datetime) -> Answer:
    name = f"calendar {calendar_id}"
    window = {"starts_at": now - CALENDAR_AROUND, "ends_at": now + CALENDAR_AROUND}
    try:
        rows = sum(len(page.events) for page in door.events(calendar_id=calendar_id, **window))
    except GoogleError as error:
        return Answer(name=name, ok=False, said=str(error))
    return Answer(name=name, ok=True, said="answers", rows=rows)


def _describe(
    items: list[dict[str, Any]], answers: list[Answer], door: google_door.Google, now: datetime
) -> Probe:
    parsed = parse_page(items)
    parameters = Counter(
        str(parameter.get("name"))
        for item in items
        for event in item.get("events") or ()
        if event.get("name") == CALL_ENDED
        for parameter in event.get("parameters") or ()
    )
    found = parsed.endpoints
    return Probe(
        ok=all(answer.ok for answer in answers),
        answers=tuple(answers),
        parameters=dict(sorted(parameters.items())),
        other_events=dict(parsed.ignored),
        records=len(found),
        unreadable=parsed.broken.total(),
        with_start=_share(record.start_source == "given" for record in found),
        with_identifier=_share(bool(record.identifier) for record in found),
        with_calendar_id=_share(bool(record.calendar_event_id) for record in found),
        lag_seconds=measured_lag(now=now),
        clock_skew_seconds=door.clock_skew_seconds,
    )


def _share(flags: Iterable[bool]) -> float | None:
    seen = list(flags)
    return round(sum(seen) / len(seen), 3) if seen else None
