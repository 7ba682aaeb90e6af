"""Google's records and events as values (S01): every shape that was seen, and broken ones."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attendance.domain.calendar import parse_event, parse_events
from attendance.domain.kinds import EndpointKind, RunKind, StartSource
from attendance.domain.records import parse_page, parse_time, without_guest, without_organizer
from attendance.domain.windows import (
    calendar_window,
    calendar_window_for,
    log_windows,
    slices,
)

NOW = datetime(2026, 6, 2, 19, tzinfo=UTC)


def record(*, time: str | None = "2026-06-02T19:00:01.500Z", **parameters: Any) -> dict[str, Any]:
    """A record with these parameters; text, numbers and truth values in their containers."""

    def contained(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, bool):
            return {"name": name, "boolValue": value}
        if isinstance(value, int):
            return {"name": name, "intValue": str(value)}
        return {"name": name, "value": value}

    listed = [contained(name, value) for name, value in parameters.items()]
    return {
        "id": {"time": time, "uniqueQualifier": "-42"} if time else {},
        "actor": {"callerType": "KEY"},
        "events": [{"type": "call", "name": "call_ended", "parameters": listed}],
    }


def read(item: dict[str, Any]) -> Any:
    """The one endpoint of a page of one record."""
    (found,) = parse_page([item]).endpoints
    return found


def test_a_whole_record() -> None:
    found = read(
        record(
            endpoint_id="boq_1", conference_id="C1", meeting_code="WKTIMXIVUK",
            calendar_event_id="e_20260602T180000Z", organizer_email="host@x.org",
            identifier="Rosa@x.org", identifier_type="email_address", device_type="web",
            is_external=True, duration_seconds=3600, start_timestamp_seconds=1780423200,
            ip_address="192.0.2.1",
        )
    )  # fmt: skip

    assert (found.conference_id, found.endpoint_id, found.meeting_code) == (
        "C1", "boq_1", "wktimxivuk",
    )  # fmt: skip
    assert (found.unique_qualifier, found.start_source) == ("-42", StartSource.GIVEN)
    assert found.started_at == datetime.fromtimestamp(1780423200, UTC)
    assert found.identifier_key == "rosa@x.org"
    assert "ip_address" not in found.payload["parameters"]


def test_a_record_without_its_start_counts_back_from_its_end() -> None:
    found = read(record(duration_seconds=90))

    assert found.start_source is StartSource.DERIVED
    assert found.ended_at - found.started_at == timedelta(seconds=90)


def test_a_record_with_next_to_nothing_is_read_the_same_each_time() -> None:
    bare = record()
    del bare["id"]["uniqueQualifier"], bare["actor"]

    assert read(bare) == read(bare)
    assert read(bare).unique_qualifier.startswith("h:")
    assert read(bare).endpoint_id.startswith("unnamed:")
    assert read(record(meeting_code="abc")).conference_id == "unnamed:abc:2026-06-02"


def test_two_stays_on_devices_that_google_did_not_name_are_two() -> None:
    """Else the second, of a minute, would be all that is known of the first, of an hour."""
    one = record(identifier="rosa@x.org", conference_id="C1", duration_seconds=3000)
    other = record(identifier="rosa@x.org", conference_id="C1", duration_seconds=60)
    other["id"] |= {"time": "2026-06-02T23:00:00.000Z", "uniqueQualifier": "7"}

    assert read(one).endpoint_id != read(other).endpoint_id


def test_the_actors_address_stands_in_for_a_masked_one() -> None:
    item = record(identifier="ro***@x.org", identifier_type="email_address")
    item["actor"] = {"email": "rosa@x.org"}

    assert read(item).identifier == "rosa@x.org"


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"identifier": "room-1", "identifier_type": "device_id"}, EndpointKind.ROOM),
        ({"device_type": "chromebox"}, EndpointKind.ROOM),
        ({"identifier": "+4912345", "identifier_type": "phone_number"}, EndpointKind.PHONE),
        ({"device_type": "pstn_in"}, EndpointKind.PHONE),
        ({"display_name": "Fireflies.ai Notetaker"}, EndpointKind.BOT),
        ({"identifier": "host@x.org", "organizer_email": "Host@x.org"}, EndpointKind.STAFF),
        ({"identifier": "rosa@x.org", "organizer_email": "host@x.org"}, EndpointKind.HUMAN),
        ({"display_name": "Rosa"}, EndpointKind.HUMAN),
    ],
)
def test_who_sits_at_the_other_end(parameters: dict[str, str], kind: EndpointKind) -> None:
    assert read(record(**parameters)).kind is kind


def test_other_events_and_broken_records_are_counted_and_stop_nothing() -> None:
    odd = {"id": {"time": "2026-06-02T19:00:00Z"}, "events": [{"name": "hand_raised"}, {}]}
    two = record(endpoint_id="a")
    two["events"] *= 2
    wordless = {"id": {"time": "2026-06-02T19:00:00Z"}, "events": [{"name": "call_ended"}]}
    null = record(endpoint_id="x\x00y" + "z" * 400)
    null["events"][0]["parameters"].append({"name": "meeting_code"})

    page = parse_page([odd, record(time=None), record(time="soon"), two, {}, wordless, null])

    assert dict(page.ignored) == {"hand_raised": 1, "": 1}
    assert sum(page.broken.values()) == 2
    assert [found.event_index for found in page.endpoints] == [0, 1, 0, 0]
    assert "\x00" not in page.endpoints[-1].endpoint_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2020-05-23T17:42:18.59Z", datetime(2020, 5, 23, 17, 42, 18, 590_000, tzinfo=UTC)),
        ("2026-06-02T20:00:00+02:00", datetime(2026, 6, 2, 18, tzinfo=UTC)),
        ("2026-06-02T18:00:00", datetime(2026, 6, 2, 18, tzinfo=UTC)),
    ],
)
def test_times(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


def event(**more: Any) -> dict[str, Any]:
    """A calendar event of an hour."""
    return {
        "id": "e1",
        "summary": "Spanish",
        "start": {"dateTime": "2026-06-02T20:00:00+02:00"},
        "end": {"dateTime": "2026-06-02T21:00:00+02:00"},
    } | more


def test_an_event_with_its_link_in_the_conference_data() -> None:
    data = {
        "conferenceId": "abc-defg-hij",
        "conferenceSolution": {"key": {"type": "hangoutsMeet"}},
        "entryPoints": [
            {"entryPointType": "phone", "uri": "tel:1"},
            {"entryPointType": "video", "uri": "https://meet.google.com/abc-defg-hij"},
        ],
    }

    found = parse_event(event(conferenceData=data, recurringEventId="r1"))

    assert found is not None
    assert (found.meeting_code, found.meet_url) == (
        "abcdefghij", "https://meet.google.com/abc-defg-hij",
    )  # fmt: skip
    assert (found.starts_at, found.recurring_event_id) == (NOW - timedelta(hours=1), "r1")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"hangoutLink": "https://meet.google.com/abc-defg-hij?x=1"}, "abcdefghij"),
        ({"conferenceData": {"conferenceSolution": {"key": {"type": "addOn"}}}}, ""),
        ({}, ""),
    ],
)
def test_where_the_code_is_found(more: dict[str, Any], code: str) -> None:
    found = parse_event(event(**more))

    assert found is not None
    assert found.meeting_code == code


@pytest.mark.parametrize(
    "item",
    [
        {},
        event(start={"date": "2026-06-02"}, end={"date": "2026-06-03"}),
        event(eventType="focusTime"),
        event(end={"dateTime": "2026-06-02T20:00:00+02:00"}),
    ],
)
def test_what_is_no_class(item: dict[str, Any]) -> None:
    assert parse_event(item) is None


def test_what_is_no_class_any_more_reads_as_cancelled() -> None:
    """A lesson may be made an all-day event; what has not even an id is nothing."""
    all_day = event(start={"date": "2026-06-02"}, end={"date": "2026-06-03"})

    found = parse_events([event(), all_day, {}])

    assert [(row.cancelled, row.starts_at is None) for row in found] == [
        (False, False), (True, True),
    ]  # fmt: skip


def test_a_cancelled_instance_may_have_nothing_but_its_id() -> None:
    found = parse_event({"id": "e1", "status": "cancelled"})

    assert found is not None
    assert (found.cancelled, found.starts_at) == (True, None)


@pytest.mark.parametrize(
    ("watermark", "hourly", "nightly", "kind", "hours"),
    [
        (1, 0.5, 5, RunKind.ROUTINE, 6),
        (1, 1, 5, RunKind.HOURLY, 26),
        (1, None, 2, RunKind.HOURLY, 26),
        (1, None, 24, RunKind.NIGHTLY, 96),
        (1, None, None, RunKind.NIGHTLY, 96),
    ],
)
def test_the_overlaps(
    watermark: float, hourly: float | None, nightly: float | None, kind: RunKind, hours: int
) -> None:
    def ago(value: float | None) -> datetime | None:
        return None if value is None else NOW - timedelta(hours=value)

    (window,) = log_windows(
        now=NOW, watermark=ago(watermark), hourly_at=ago(hourly), nightly_at=ago(nightly)
    )

    assert (window.kind, window.ends_at) == (kind, NOW)
    assert window.ends_at - window.starts_at == timedelta(hours=hours)


@pytest.mark.parametrize(("days", "expected"), [(None, 30), (5, 5), (400, 179)])
def test_what_was_never_read_is_read_in_slices_of_a_day(days: int | None, expected: int) -> None:
    watermark = None if days is None else NOW - timedelta(days=days)

    found = log_windows(now=NOW, watermark=watermark, hourly_at=None, nightly_at=None)

    assert {window.kind for window in found} == {RunKind.BACKFILL}
    assert found[0].starts_at == NOW - timedelta(days=expected)
    assert len(found) == expected
    assert all(a.ends_at == b.starts_at for a, b in itertools.pairwise(found))


def test_slices_of_an_odd_window() -> None:
    found = slices(starts_at=NOW - timedelta(hours=30), ends_at=NOW, kind=RunKind.MANUAL)

    assert [window.ends_at - window.starts_at for window in found] == [
        timedelta(hours=24), timedelta(hours=6),
    ]  # fmt: skip


def test_the_calendars_windows() -> None:
    day = timedelta(days=1)

    assert calendar_window(now=NOW, last_read_at=None) == (NOW - 30 * day, NOW + 21 * day)
    assert calendar_window(now=NOW, last_read_at=NOW) == (NOW - 7 * day, NOW + 21 * day)
    gap = calendar_window(now=NOW, last_read_at=NOW - 20 * day)
    assert gap == (NOW - 27 * day, NOW + 21 * day)
    assert calendar_window_for(now=NOW, since=NOW - 3 * day, until=NOW - 2 * day) == (
        NOW - 4 * day, NOW + 21 * day,
    )  # fmt: skip


def test_who_declined_is_noted_and_rooms_are_not() -> None:
    guests = [
        {"email": "Rosa.Maro@gmail.com", "responseStatus": "declined"},
        {"email": "amir@x.org", "responseStatus": "accepted"},
        {"email": "room@x.org", "responseStatus": "declined", "resource": True},
        {"displayName": "no address", "responseStatus": "declined"},
    ]

    found = parse_event(event(attendees=guests))

    assert found is not None
    assert found.declined == ("rosamaro@gmail.com",)


@pytest.mark.parametrize("device", ["boq_1", ""])
def test_of_who_was_erased_only_the_stay_is_kept(device: str) -> None:
    """P31. A device that Google did not name was named by the address."""
    found = read(
        record(
            endpoint_id=device, conference_id="C1", identifier="rosa@x.org",
            identifier_type="email_address", display_name="Rosa", organizer_email="rosa@x.org",
            duration_seconds=60,
        )
    )  # fmt: skip
    assert device or "rosa" in found.endpoint_id

    cut = without_organizer(without_guest(found))

    assert "rosa" not in repr(cut).lower()
    assert (cut.started_at, cut.ended_at, cut.kind) == (
        found.started_at, found.ended_at, EndpointKind.VISITOR,
    )  # fmt: skip
    assert cut.endpoint_id.startswith(device or "unnamed:")
    assert cut.payload["parameters"]["duration_seconds"] == "60"
