"""Reading of one record of Google's Meet log into values; the record's shape is Google's.

https://developers.google.com/workspace/admin/reports/v1/appendix/activity/meet
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from attendance.domain.identity import (
    email_key,
    endpoint_mark,
    is_full_email,
    meeting_code,
)
from attendance.domain.kinds import EndpointKind, StartSource

CALL_ENDED = "call_ended"  # written when an endpoint leaves; there is no join event

# What is kept of a record. Addresses on the network and places are not among it.
_KEPT = frozenset(
    {
        "calendar_event_id",
        "conference_id",
        "device_type",
        "display_name",
        "duration_seconds",
        "endpoint_id",
        "identifier",
        "identifier_type",
        "is_external",
        "meeting_code",
        "organizer_email",
        "product_type",
        "start_timestamp_seconds",
    }
)
_LONGEST = {
    "calendar_event_id": 1024,
    "conference_id": 200,
    "device_type": 32,
    "endpoint_id": 200,
    "identifier_type": 32,
    "meeting_code": 64,
}
NOBODY = "105250506097979753968"  # what the log puts where an actor has no account
_ROOM_DEVICES = frozenset({"chromebox", "chromebase", "jamboard", "smart_display", "interop"})
_PHONE_DEVICES = frozenset({"pstn_in", "pstn_out"})
_BOTS = re.compile(
    r"\bnote[ -]?taker\b|\bfireflies\.ai|\botter\.ai|\botterpilot\b|\bfathom\.(?:ai|video)"
    r"|\bread\.ai|\btl;?dv\b",
    re.IGNORECASE,
)


class BadRecordError(ValueError):
    """A record from which no stay can be read; the message names the missing part."""


@dataclass(frozen=True)
class EndpointRecord:
    """One `call_ended` event: one device that was in one call during [started_at, ended_at)."""

    customer_id: str
    application: str
    event_time: datetime
    unique_qualifier: str
    event_index: int
    conference_id: str
    endpoint_id: str
    meeting_code: str
    calendar_event_id: str
    organizer_email: str
    identifier: str
    identifier_type: str
    display_name: str
    device_type: str
    is_external: bool
    google_user_id: str
    mark: str
    kind: EndpointKind
    started_at: datetime
    ended_at: datetime
    start_source: StartSource
    payload: Mapping[str, Any]

    @property
    def identifier_key(self) -> str:
        """The normal form of the address, or "" where there is no whole address."""
        return email_key(self.identifier)


@dataclass
class Parsed:
    """What a page of records holds, and what of it was left aside."""

    endpoints: list[EndpointRecord] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)  # events of other names
    broken: Counter[str] = field(default_factory=Counter)  # why a record could not be read


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time as aware UTC; a time without offset is taken as UTC."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def parse_page(items: Iterable[Mapping[str, Any]]) -> Parsed:
    """Read every `call_ended` event of a page; other names and unreadable ones are counted."""
    parsed = Parsed()
    for item in items:
        for index, event in enumerate(item.get("events") or ()):
            name = str(event.get("name", ""))
            if name != CALL_ENDED:
                parsed.ignored[name] += 1
                continue
            try:
                parsed.endpoints.append(_parse_event(item, event, index))
            except (BadRecordError, ValueError, TypeError, OverflowError) as error:
                parsed.broken[type(error).__name__] += 1
    return parsed


def without_guest(record: EndpointRecord) -> EndpointRecord:
    """The same stay, but not whose it was: for somebody who was erased."""
    unnamed = record.endpoint_id.startswith("unnamed:")  # made of the address
    digest = _digest(record.unique_qualifier, str(record.event_index))
    return replace(
        record,
        endpoint_id=f"unnamed:{digest}" if unnamed else record.endpoint_id,
        identifier="",
        identifier_type="",
        display_name="",
        google_user_id="",
        mark="",
        kind=EndpointKind.VISITOR,
        payload=_without(record.payload, "identifier", "display_name", "endpoint_id"),
    )


def without_organizer(record: EndpointRecord) -> EndpointRecord:
    """The same stay, but not whose call it was."""
    payload = _without(record.payload, "organizer_email")
    return replace(record, organizer_email="", payload=payload)


def _without(payload: Mapping[str, Any], *names: str) -> dict[str, Any]:
    parameters = {k: v for k, v in payload["parameters"].items() if k not in names}
    return {**payload, "parameters": parameters}


def _parse_event(item: Mapping[str, Any], event: Mapping[str, Any], index: int) -> EndpointRecord:
    identity = item.get("id") or {}
    if "time" not in identity:
        raise BadRecordError("id.time")
    ended_at = parse_time(str(identity["time"]))
    values, actor = _parameters(event), item.get("actor") or {}
    text = {name: str(value) for name, value in values.items()}
    started_at, source = _start(values, ended_at)
    identifier, identifier_type = _identifier(text, str(actor.get("email") or ""))
    code, name = meeting_code(text.get("meeting_code", "")), text.get("display_name", "")
    event_id = text.get("calendar_event_id", "")
    conference_id = text.get("conference_id", "") or _stand_in(event_id or code, ended_at)
    endpoint_id = text.get("endpoint_id", "") or _stay(identifier, ended_at, identity)
    digest = _digest(str(identity["time"]), endpoint_id, conference_id)
    return EndpointRecord(
        customer_id=str(identity.get("customerId", "")),
        application=str(identity.get("applicationName", "meet")),
        event_time=ended_at,
        unique_qualifier=str(identity.get("uniqueQualifier") or f"h:{digest}"),
        event_index=index,
        conference_id=conference_id,
        endpoint_id=endpoint_id,
        meeting_code=code,
        calendar_event_id=event_id,
        organizer_email=text.get("organizer_email", ""),
        identifier=identifier,
        identifier_type=identifier_type,
        display_name=name,
        device_type=text.get("device_type", ""),
        is_external=values.get("is_external") in (True, "true", "True"),
        google_user_id=_user_id(actor),
        mark=endpoint_mark(
            identifier=identifier, identifier_type=identifier_type, display_name=name
        ),
        kind=_kind(text, identifier, identifier_type),
        started_at=started_at,
        ended_at=ended_at,
        start_source=source,
        payload={"type": str(event.get("type", "")), "parameters": values},
    )


def _parameters(event: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for parameter in event.get("parameters") or ():
        name = parameter.get("name")
        if name in _KEPT:
            for container in ("value", "intValue", "boolValue"):
                value = parameter.get(container)
                if value is not None:
                    values[name] = _storable(value, _LONGEST.get(name, 300))
    return values


def _storable(value: Any, longest: int) -> Any:
    """Cut what a guest may have typed to what a column holds; PostgreSQL refuses NUL."""
    return value.replace("\x00", "")[:longest] if isinstance(value, str) else value


def _start(values: Mapping[str, Any], ended_at: datetime) -> tuple[datetime, StartSource]:
    """Take the given start; older records only have a length, counted back from the end."""
    given = int(values.get("start_timestamp_seconds") or 0)
    if given > 0:
        return min(datetime.fromtimestamp(given, UTC), ended_at), StartSource.GIVEN
    seconds = max(int(values.get("duration_seconds") or 0), 0)
    return ended_at - timedelta(seconds=seconds), StartSource.DERIVED


def _identifier(text: Mapping[str, str], actor_email: str) -> tuple[str, str]:
    """Prefer a whole address, wherever it stands, to a masked or missing one."""
    identifier = text.get("identifier", "").strip()
    if not is_full_email(identifier) and is_full_email(actor_email):
        return actor_email, "email_address"
    return identifier, text.get("identifier_type", "")


def _user_id(actor: Mapping[str, Any]) -> str:
    """Google's own number of an account; one number stands for everybody who has none."""
    number = str(actor.get("profileId") or "")[:64]
    return "" if number == NOBODY else number


def _kind(text: Mapping[str, str], identifier: str, identifier_type: str) -> EndpointKind:
    device = text.get("device_type", "")
    if identifier_type == "device_id" or device in _ROOM_DEVICES:
        return EndpointKind.ROOM
    if identifier_type == "phone_number" or device in _PHONE_DEVICES:
        return EndpointKind.PHONE
    if _BOTS.search(f"{text.get('display_name', '')} {identifier}"):
        return EndpointKind.BOT
    key = email_key(identifier)
    if key and key == email_key(text.get("organizer_email", "")):
        return EndpointKind.STAFF
    return EndpointKind.HUMAN


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def _stay(hint: str, at: datetime, identity: Mapping[str, Any]) -> str:
    """Name an endpoint that Google did not name: whoever came twice, or on two devices, has two."""
    qualifier = str(identity.get("uniqueQualifier") or "")
    return f"unnamed:{hint[:100]}:{at.isoformat()}:{qualifier[:20]}"


def _stand_in(hint: str, at: datetime) -> str:
    """Name a call that Google did not name: stable when it is read again."""
    return f"unnamed:{hint[:100]}:{at:%Y-%m-%d}" if hint else f"unnamed:{at.isoformat()}"
