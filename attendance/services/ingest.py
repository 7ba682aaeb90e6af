"""From a page of Google's log to rows, once per record, however often it is read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from attendance.domain.identity import email_key
from attendance.domain.records import (
    CALL_ENDED,
    EndpointRecord,
    parse_page,
    without_guest,
    without_organizer,
)
from attendance.domain.settlement import LAG_AT_MOST
from attendance.models import SyncRun
from attendance.services.erased import erased_among

# RETURNING names the rows that are new: a record that is known is skipped without a lock.
_ADD_ACTIVITIES = """
INSERT INTO attendance_activity (run_id, customer_id, application, event_time, unique_qualifier,
                                 event_index, name, payload, first_seen_at, lag_seconds)
SELECT %(run)s, customer_id, application, event_time, unique_qualifier, event_index, %(name)s,
       payload, %(now)s, CASE WHEN event_time >= %(timely)s THEN
           greatest(0, least(%(clamp)s, extract(epoch FROM %(now)s - event_time)))::int END
FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
    customer_id text, application text, event_time timestamptz, unique_qualifier text,
    event_index smallint, payload jsonb)
ON CONFLICT DO NOTHING
RETURNING id, customer_id, application, event_time, unique_qualifier, event_index
"""
_ADD_CONFERENCES = """
INSERT INTO attendance_conference AS known (conference_id, meeting_code, organizer_email, dirty_at)
SELECT conference_id, meeting_code, organizer_email, %(now)s
FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
    conference_id text, meeting_code text, organizer_email text)
ON CONFLICT (conference_id) DO UPDATE SET
    dirty_at = excluded.dirty_at,
    meeting_code = coalesce(nullif(known.meeting_code, ''), excluded.meeting_code),
    organizer_email = coalesce(nullif(known.organizer_email, ''), excluded.organizer_email)
RETURNING conference_id, id
"""
# Two records of one endpoint: the later leave is the truer one.
_ADD_ENDPOINTS = """
INSERT INTO attendance_endpoint AS known (
    conference_id, endpoint_id, calendar_event_id, started_at, ended_at, start_source, identifier,
    identifier_key, identifier_type, display_name, device_type, is_external, google_user_id, mark,
    kind, identity_level, identity_rule, activity_id)
SELECT conference, endpoint_id, calendar_event_id, started_at, ended_at, start_source, identifier,
       identifier_key, identifier_type, display_name, device_type, is_external, google_user_id,
       mark, kind, 0, '', activity
FROM jsonb_to_recordset(%(rows)s::jsonb) AS given (
    conference bigint, endpoint_id text, calendar_event_id text, started_at timestamptz,
    ended_at timestamptz, start_source text, identifier text, identifier_key text,
    identifier_type text, display_name text, device_type text, is_external boolean,
    google_user_id text, mark text, kind text, activity bigint)
ON CONFLICT (conference_id, endpoint_id) DO UPDATE SET
    started_at = excluded.started_at, ended_at = excluded.ended_at,
    start_source = excluded.start_source, activity_id = excluded.activity_id
WHERE excluded.ended_at > known.ended_at
"""

_COPIED = [
    "endpoint_id",
    "calendar_event_id",
    "identifier",
    "identifier_key",
    "identifier_type",
    "display_name",
    "device_type",
    "is_external",
    "google_user_id",
    "mark",
]


@dataclass(frozen=True)
class Stored:
    """What one page brought."""

    new: int
    duplicates: int
    ignored: int
    newest_event_at: datetime | None


@transaction.atomic
def store_page(
    *,
    run: SyncRun,
    items: Iterable[dict[str, Any]],
    now: datetime,
    timely_from: datetime | None = None,
) -> Stored:
    """Write what is new of a page: activities, calls, endpoints, in one transaction.

    Records of `timely_from` or later tell how late Google was: we looked in time, so that
    they were not there before is not our doing. Safe to repeat and to run in many threads: the
    records' own keys decide what is new.
    """
    parsed = parse_page(items)
    records = {_key(record): record for record in _nameless(parsed.endpoints)}
    ids = _add_activities(run, list(records.values()), now, timely_from)
    fresh = [(records[key], activity) for key, activity in ids.items()]
    if fresh:
        conferences = _add_conferences([record for record, _ in fresh], now)
        _add_endpoints(fresh, conferences)
    return Stored(
        new=len(fresh),
        duplicates=len(parsed.endpoints) - len(fresh),
        ignored=parsed.ignored.total() + parsed.broken.total(),
        newest_event_at=max((record.event_time for record in parsed.endpoints), default=None),
    )


def _nameless(records: Sequence[EndpointRecord]) -> list[EndpointRecord]:
    """The same records; of who was erased it is only kept that somebody was there."""
    marks = {mark for record in records for mark in (*_guest(record), _organizer(record))}
    gone = erased_among(marks=marks)
    if not gone:
        return list(records)
    kept = [without_guest(row) if gone & _guest(row) else row for row in records]
    return [without_organizer(row) if _organizer(row) in gone else row for row in kept]


def _guest(record: EndpointRecord) -> set[str]:
    return {record.mark, f"google_user_id:{record.google_user_id}"}


def _organizer(record: EndpointRecord) -> str:
    return f"email:{email_key(record.organizer_email)}"


_Key = tuple[str, str, datetime, str, int]


def _key(record: EndpointRecord) -> _Key:
    return (
        record.customer_id,
        record.application,
        record.event_time,
        record.unique_qualifier,
        record.event_index,
    )


def _run(sql: str, rows: Sequence[dict[str, Any]], **values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, {"rows": json.dumps(rows), **values})
        return cursor.fetchall() if cursor.description else []


def _add_activities(
    run: SyncRun,
    records: Sequence[EndpointRecord],
    now: datetime,
    timely_from: datetime | None,
) -> dict[_Key, int]:
    rows = [
        {
            "customer_id": record.customer_id,
            "application": record.application,
            "event_time": record.event_time.isoformat(),
            "unique_qualifier": record.unique_qualifier,
            "event_index": record.event_index,
            "payload": dict(record.payload),
        }
        for record in sorted(records, key=_key)
    ]
    found = _run(
        _ADD_ACTIVITIES,
        rows,
        run=run.pk,
        name=CALL_ENDED,
        now=now,
        timely=timely_from or "infinity",
        clamp=int(LAG_AT_MOST.total_seconds()),
    )
    return {tuple(row[1:]): row[0] for row in found}


def _add_conferences(records: Sequence[EndpointRecord], now: datetime) -> dict[str, int]:
    """Add the calls, in the order of their ids so that two pages never wait for each other."""
    calls: dict[str, dict[str, str]] = {}
    for record in records:
        call = calls.setdefault(record.conference_id, {"meeting_code": "", "organizer_email": ""})
        call["conference_id"] = record.conference_id
        call["meeting_code"] = call["meeting_code"] or record.meeting_code
        call["organizer_email"] = call["organizer_email"] or record.organizer_email
    return dict(_run(_ADD_CONFERENCES, [calls[name] for name in sorted(calls)], now=now))


def _add_endpoints(
    fresh: Sequence[tuple[EndpointRecord, int]], conferences: dict[str, int]
) -> None:
    latest: dict[tuple[int, str], dict[str, Any]] = {}
    for record, activity in sorted(fresh, key=lambda pair: pair[0].ended_at):
        conference = conferences[record.conference_id]
        latest[conference, record.endpoint_id] = {
            **{name: getattr(record, name) for name in _COPIED},
            "conference": conference,
            "started_at": record.started_at.isoformat(),
            "ended_at": record.ended_at.isoformat(),
            "start_source": record.start_source,
            "kind": record.kind,
            "activity": activity,
        }
    _run(_ADD_ENDPOINTS, [latest[key] for key in sorted(latest)])
