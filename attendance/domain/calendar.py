"""Reading of one calendar event into a planned class; the event's shape is Google's.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from attendance.domain.identity import email_key, meeting_code
from attendance.domain.records import parse_time

_NO_CLASSES = frozenset({"birthday", "focusTime", "outOfOffice", "workingLocation"})


@dataclass(frozen=True)
class CalendarEvent:
    """One event; of a cancelled one only the id is sure to be there."""

    event_id: str
    recurring_event_id: str
    original_start_at: datetime | None
    starts_at: datetime | None
    ends_at: datetime | None
    title: str
    meeting_code: str
    meet_url: str
    organizer_email: str
    declined: tuple[str, ...]  # normal forms of addresses, sorted
    cancelled: bool


def parse_event(item: Mapping[str, Any]) -> CalendarEvent | None:
    """Return the planned class, or None for what is not one: all-day, focus time, no period."""
    event_id = str(item.get("id") or "")
    if not event_id or item.get("eventType") in _NO_CLASSES:
        return None
    cancelled = item.get("status") == "cancelled"
    starts_at, ends_at = _moment(item.get("start")), _moment(item.get("end"))
    has_period = starts_at is not None and ends_at is not None and starts_at < ends_at
    if not has_period:
        if not cancelled:
            return None
        starts_at = ends_at = None
    code, url = _meet(item)
    return CalendarEvent(
        event_id=event_id,
        recurring_event_id=str(item.get("recurringEventId") or ""),
        original_start_at=_moment(item.get("originalStartTime")),
        starts_at=starts_at,
        ends_at=ends_at,
        title=str(item.get("summary") or ""),
        meeting_code=code,
        meet_url=url,
        organizer_email=str((item.get("organizer") or {}).get("email") or ""),
        declined=_declined(item),
        cancelled=cancelled,
    )


def parse_events(items: Iterable[Mapping[str, Any]]) -> list[CalendarEvent]:
    """The planned classes among these events.

    One that is none may have been: a lesson that was made an all-day event reads as cancelled.
    """
    read = ((item, parse_event(item)) for item in items)
    found = (
        event or parse_event({"id": item.get("id"), "status": "cancelled"}) for item, event in read
    )
    return [event for event in found if event is not None]


def _declined(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Those who said no. Rooms decline, too; lists of large events may be cut by Google."""
    keys = {
        email_key(str(guest.get("email") or ""))
        for guest in item.get("attendees") or ()
        if guest.get("responseStatus") == "declined" and not guest.get("resource")
    }
    return tuple(sorted(keys - {""}))


def _moment(value: Mapping[str, Any] | None) -> datetime | None:
    text = (value or {}).get("dateTime")
    return parse_time(str(text)) if text else None


def _meet(item: Mapping[str, Any]) -> tuple[str, str]:
    """Find code and link: conference data first, then the old field for the link."""
    data = item.get("conferenceData") or {}
    solution = ((data.get("conferenceSolution") or {}).get("key") or {}).get("type")
    url = str(item.get("hangoutLink") or "")
    code = ""
    if solution in (None, "hangoutsMeet"):
        code = str(data.get("conferenceId") or "")
        for entry in data.get("entryPoints") or ():
            if entry.get("entryPointType") == "video":
                url = url or str(entry.get("uri") or "")
    if not code and url:
        code = url.split("?")[0].rstrip("/").rpartition("/")[2]
    return meeting_code(code), url
