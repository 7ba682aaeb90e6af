"""Records of our own making in the shape of Google's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

CUSTOMER = "C0telbot0"
_EXTERNAL = {"callerType": "KEY", "key": "HANGOUTS_EXTERNAL_OR_ANONYMOUS"}


@dataclass(frozen=True)
class Record:
    """One record of the log, and when the log begins to show it (None: at once)."""

    body: dict[str, Any]
    visible_at: datetime | None = None


@dataclass(frozen=True)
class CallInfo:
    """What all records of one call have in common."""

    conference_id: str
    meeting_code: str  # as the calendar writes it: abc-defg-hij
    event_id: str
    organizer_email: str


def stamp(at: datetime) -> str:
    """Write a moment as Google does: UTC, milliseconds, Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instance_id(*, recurring_id: str, original_start_at: datetime) -> str:
    """Name one instance of a recurring event as Calendar does."""
    return f"{recurring_id}_{original_start_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def call_ended(
    *,
    call: CallInfo,
    endpoint_id: str,
    started_at: datetime,
    ended_at: datetime,
    qualifier: int | None,
    identifier: str = "",
    identifier_type: str = "email_address",
    display_name: str = "",
    device_type: str = "web",
    is_external: bool = True,
    with_start: bool = True,
) -> dict[str, Any]:
    """Make the record that the log gets when an endpoint leaves a call."""
    parameters: list[dict[str, Any]] = [
        {"name": "endpoint_id", "value": endpoint_id},
        {"name": "conference_id", "value": call.conference_id},
        {"name": "meeting_code", "value": call.meeting_code.replace("-", "").upper()},
        {"name": "organizer_email", "value": call.organizer_email},
        {"name": "duration_seconds", "intValue": f"{(ended_at - started_at).total_seconds():.0f}"},
        {"name": "device_type", "value": device_type},
        {"name": "display_name", "value": display_name},
        {"name": "is_external", "boolValue": is_external},
        {"name": "product_type", "value": "meet"},
    ]
    optional: dict[str, object] = {
        "calendar_event_id": call.event_id,
        "identifier": identifier,
        "identifier_type": identifier and identifier_type,
        "ip_address": "" if is_external else "192.0.2.7",
        "location_country": "" if is_external else "ES",
    }
    parameters += [{"name": name, "value": value} for name, value in optional.items() if value]
    if with_start:
        seconds = f"{started_at.timestamp():.0f}"
        parameters.append({"name": "start_timestamp_seconds", "intValue": seconds})
    actor = _EXTERNAL if is_external else {"callerType": "USER", "email": identifier}
    return _record(ended_at, qualifier, actor, parameters)


def _record(
    at: datetime,
    qualifier: int | None,
    actor: Mapping[str, str],
    parameters: list[dict[str, Any]],
) -> dict[str, Any]:
    identity = {"time": stamp(at), "applicationName": "meet", "customerId": CUSTOMER}
    if qualifier is not None:
        identity["uniqueQualifier"] = str(qualifier)
    return {
        "kind": "admin#reports#activity",
        "id": identity,
        "actor": dict(actor),
        "events": [{"type": "call", "name": "call_ended", "parameters": parameters}],
    }


def calendar_event(
    *,
    event_id: str,
    starts_at: datetime,
    ends_at: datetime,
    title: str,
    meeting_code: str,
    organizer_email: str,
    recurring_id: str = "",
    original_start_at: datetime | None = None,
) -> dict[str, Any]:
    """Make a confirmed event with a Meet link, an instance if `recurring_id` is given."""
    link = f"https://meet.google.com/{meeting_code}"
    event: dict[str, Any] = {
        "kind": "calendar#event",
        "id": event_id,
        "status": "confirmed",
        "summary": title,
        "start": {"dateTime": stamp(starts_at)},
        "end": {"dateTime": stamp(ends_at)},
        "organizer": {"email": organizer_email},
        "hangoutLink": link,
        "conferenceData": {
            "conferenceId": meeting_code,
            "conferenceSolution": {"key": {"type": "hangoutsMeet"}},
            "entryPoints": [{"entryPointType": "video", "uri": link}],
        },
    }
    if recurring_id:
        event["recurringEventId"] = recurring_id
        event["originalStartTime"] = {"dateTime": stamp(original_start_at or starts_at)}
    return event


def cancelled_instance(
    *, event_id: str, recurring_id: str, original_start_at: datetime
) -> dict[str, Any]:
    """Make what Calendar leaves of a cancelled instance."""
    return {
        "kind": "calendar#event",
        "id": event_id,
        "status": "cancelled",
        "recurringEventId": recurring_id,
        "originalStartTime": {"dateTime": stamp(original_start_at)},
    }
