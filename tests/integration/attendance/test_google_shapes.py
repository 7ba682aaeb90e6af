"""The shapes that Google's records had over six years, with names and figures of our own."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import Max, Min

from attendance import services
from attendance.domain.intervals import length, union
from attendance.models import Activity, Conference, Endpoint, Outcome
from attendance.sandbox.shapes import calendar_event
from tests.factories.calls import COUNTERS, EXTERNAL, OddGoogle, activity, google_of, records

pytestmark = pytest.mark.django_db
NOW = datetime(2025, 3, 4, 22, tzinfo=UTC)
CALENDAR = "spanish@group.calendar.example"
HOST = "host@school.example"
PUPIL = "pupil@school.example"


def of_2020(*, endpoint: str, device: str, seconds: int, end: datetime) -> dict[str, Any]:
    """No start, a named instance, the actor with an account."""
    return activity(
        at=end, qualifier=-end.microsecond - seconds, customer="C02020x",
        actor={"callerType": "USER", "email": PUPIL, "profileId": "104000000000000000020"},
        **COUNTERS, identifier_type="email_address", endpoint_id=endpoint, device_type=device,
        calendar_event_id="q1w2e3r4t5y6u7i8o9p0_20200608T080000Z", identifier=PUPIL,
        duration_seconds=seconds, organizer_email=HOST, ip_address="198.51.100.7",
        location_country="ES", display_name="A Pupil", conference_id="Twenty20",
        meeting_code="TWENTYTWEN", is_external=False,
    )  # fmt: skip


def test_the_pupil_on_two_devices_was_there_once() -> None:
    """2020: 10,854 s on two devices in a class of 90 minutes are 5,471 s of presence."""
    starts_at = datetime(2020, 6, 8, 8, tzinfo=UTC)
    joined = starts_at - timedelta(seconds=30)
    web = joined + timedelta(seconds=5465, milliseconds=400)
    phone = joined + timedelta(seconds=5471, milliseconds=190)
    event = calendar_event(
        event_id="q1w2e3r4t5y6u7i8o9p0_20200608T080000Z", starts_at=starts_at, title="Maths",
        ends_at=starts_at + timedelta(minutes=90), meeting_code="twe-ntyt-wen",
        organizer_email=HOST, recurring_id="q1w2e3r4t5y6u7i8o9p0",
    )  # fmt: skip
    fake = OddGoogle(
        calendars={CALENDAR: [event]},
        records=records(
            of_2020(endpoint="boq_hlane_a1", device="web", seconds=5465, end=web),
            of_2020(endpoint="meet_android_b2", device="android", seconds=5389, end=phone),
        ),
    )
    services.upsert_learner(email=PUPIL, name="A Pupil", calendar_ids=[CALENDAR], now=joined)
    now = starts_at + timedelta(hours=8)

    with google_of(fake) as google:
        services.sync(now=now, google=google)
    services.settle(now=now)

    stays = list(Endpoint.objects.values_list("started_at", "ended_at"))
    assert abs(length(stays).total_seconds() - 10_854) <= 1
    assert abs(length(union(stays)).total_seconds() - 5_471) <= 1
    outcome = Outcome.objects.get()
    assert (outcome.outcome, outcome.present_seconds) == ("attended", 5400)
    assert outcome.flags == ["multi_device"]
    assert set(Endpoint.objects.values_list("start_source", flat=True)) == {"derived"}


def of_2021(at: datetime) -> dict[str, Any]:
    """An instance of a recurring event; the parameters in another order, no start."""
    return activity(
        at=at, qualifier=2021, actor={"callerType": "USER", "email": "p21@school.example"},
        meeting_code="OLDOLDCODE", conference_id="Twenty21", duration_seconds=1800,
        calendar_event_id="zz9_20210303T100000Z", is_external=False, device_type="ios",
        identifier="p21@school.example", identifier_type="email_address",
        endpoint_id="hub_android_21", organizer_email=HOST, end_of_call_rating=5,
    )  # fmt: skip


def of_2023(at: datetime) -> dict[str, Any]:
    """A meeting nobody had planned: no event, an account, place and address on the network."""
    return activity(
        at=at, qualifier=8282, customer="_gid_2023_",
        actor={"callerType": "USER", "email": "p23@school.example", "profileId": "1045"},
        **COUNTERS, location_country="US", location_region="Here", ip_address="203.0.113.9",
        endpoint_id="boq_hlane_23", device_type="web", duration_seconds=1020,
        identifier="p23@school.example", identifier_type="email_address", product_type="meet",
        organizer_email=HOST, display_name="P", conference_id="Twenty23_aDxIW-OAk",
        meeting_code="TRVQAAIKXX", is_external=False,
    )  # fmt: skip


def of_2024(number: int, at: datetime) -> dict[str, Any]:
    """A learner from outside: no address on the actor, the whole one as identifier."""
    return activity(
        at=at, qualifier=(-1) ** number * (2_574_777_481_899_936_694 + number), actor=EXTERNAL,
        **COUNTERS, identifier_type="email_address", endpoint_id=f"boq_hlane_24{number}",
        device_type="web", calendar_event_id="single24", duration_seconds=9621 - 700 * number,
        identifier=f"guest{number}@mail.example", organizer_email=HOST, product_type="meet",
        display_name=f"Guest {number}", conference_id="Twenty24", meeting_code="WKTIMXIVXX",
        is_external=True,
    )  # fmt: skip


def of_2025(at: datetime) -> dict[str, Any]:
    """With its start, whole seconds, 1.7 s off its own length; no event."""
    return activity(
        at=at, qualifier=2025, actor=EXTERNAL, start_timestamp_seconds=int(at.timestamp()) - 1801,
        duration_seconds=1800, identifier="li***@m***.example", is_external=True,
        identifier_type="email_address", display_name="P 25", endpoint_id="boq_hlane_25",
        device_type="web", conference_id="Twenty25", meeting_code="NEWNEWCODE",
        organizer_email=HOST, product_type="meet",
    )  # fmt: skip


def test_the_shapes_of_other_years() -> None:
    noon = datetime(2025, 3, 4, 12, 0, 0, 700_000, tzinfo=UTC)
    short = activity(  # a fraction of two digits, no qualifier, no customer, no actor
        at="2025-03-04T11:42:18.59Z", qualifier=None, customer="", endpoint_id="abcde",
        identifier="p20@school.example", identifier_type="email_address", duration_seconds=1000,
        conference_id="Twenty20b", meeting_code="YUIOP", organizer_email=HOST, is_external=False,
    )  # fmt: skip
    abuse = activity(at=noon, name="abuse_report_submitted", calendar_event_id="", qualifier=9)
    page = [of_2024(n, noon + timedelta(milliseconds=3 * n)) for n in range(5)]
    fake = OddGoogle(
        calendars={CALENDAR: []}, names_all=True, page_size=4,
        records=records(short, of_2021(noon), of_2023(noon), of_2025(noon), abuse, *page),
    )  # fmt: skip
    services.upsert_course(calendar_id=CALENDAR, now=NOW)

    with google_of(fake) as google:
        report = services.sync(now=NOW, google=google)

    assert (report.state, report.activities, report.ignored) == ("complete", 9, 1)
    five = Conference.objects.get(conference_id="Twenty24").endpoints
    ends = five.aggregate(first=Min("ended_at"), last=Max("ended_at"))
    assert five.count() == 5
    assert ends["last"] - ends["first"] < timedelta(seconds=1)
    found = {row.conference.conference_id: row for row in Endpoint.objects.select_related()}
    stays = {name: (row.ended_at - row.started_at).total_seconds() for name, row in found.items()}
    assert stays["Twenty25"] == pytest.approx(1801.7)
    assert (stays["Twenty20b"], stays["Twenty21"], stays["Twenty23_aDxIW-OAk"]) == (
        1000,
        1800,
        1020,
    )
    assert [found[name].mark for name in ("Twenty25", "Twenty20b", "Twenty21")] == [
        "masked_email:li***@m***.example|25 p",
        "email:p20@school.example", "email:p21@school.example",
    ]  # fmt: skip
    kept = json.dumps(list(Activity.objects.values_list("payload", flat=True)))
    assert not [w for w in ("203.0.113", "ip_address", "location", "network", "Here") if w in kept]
