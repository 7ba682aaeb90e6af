"""Classes on links that are used again (S01): every endpoint in its own class, none in two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from attendance import services
from attendance.google import Google
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    ConferenceMatch,
    Endpoint,
    Outcome,
    ReviewItem,
    SyncRun,
)
from attendance.sandbox import FakeGoogle, Record
from attendance.sandbox.shapes import (
    CallInfo,
    calendar_event,
    call_ended,
    cancelled_instance,
    instance_id,
)
from tests.factories.calls import google_of

pytestmark = pytest.mark.django_db
FIRST = datetime(2025, 3, 4, 18, tzinfo=UTC)  # a Tuesday; summer time begins on the 30th
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)
SPANISH, DATA = "spanish@group.calendar.example", "data@group.calendar.example"
HOST = "host@school.example"
CODE = "abc-defg-hij"
PEOPLE = ("ana", "ben", "cem")


@dataclass
class School:
    """A Google that is filled class by class and call by call, and what is true."""

    fake: FakeGoogle = field(default_factory=FakeGoogle)
    truth: dict[str, set[str]] = field(default_factory=dict)  # endpoint → events it was in
    calls: int = 0

    def plan(self, event_id: str, at: datetime, **more: Any) -> str:
        """Put an hour into a calendar; return its event id."""
        calendar = more.pop("calendar", SPANISH)
        values: dict[str, Any] = {
            "ends_at": at + HOUR, "title": "A class", "meeting_code": CODE, "organizer_email": HOST,
        } | more  # fmt: skip
        event = calendar_event(event_id=event_id, starts_at=at, **values)
        self.fake.calendars.setdefault(calendar, []).append(event)
        return event_id

    def hold(
        self,
        at: datetime,
        *,
        was: set[str],
        says: str,
        minutes: float = 60,
        code: str = CODE,
        who: tuple[str, ...] = PEOPLE,
    ) -> None:
        """People were in one call from `at` on; the log names the event `says`."""
        self.calls += 1
        call = CallInfo(f"call{self.calls}", code, says, HOST)
        for number, name in enumerate((*who, "host")):
            endpoint = f"{self.calls}-{name}"
            body = call_ended(
                call=call, endpoint_id=endpoint, started_at=at + timedelta(seconds=number),
                ended_at=at + timedelta(minutes=minutes, seconds=-number),
                qualifier=self.calls * 100 + number, identifier=f"{name}@school.example",
                with_start=number % 2 == 0,
            )  # fmt: skip
            self.fake.records.append(Record(body))
            self.truth[endpoint] = was


@pytest.fixture
def school() -> School:
    for name in PEOPLE:
        services.upsert_learner(
            email=f"{name}@school.example", name=name.title(), calendar_ids=[SPANISH],
            now=FIRST - WEEK,
        )  # fmt: skip
    made = School()
    made.fake.calendars = {SPANISH: []}
    return made


@pytest.fixture
def google(school: School) -> Iterator[Google]:
    with google_of(school.fake) as door:
        yield door


def read(google: Google, *, now: datetime) -> None:
    assert services.sync(now=now, google=google).state == "complete"
    services.settle(now=now)


def landed() -> dict[str, set[str]]:
    """The events of the classes to which each endpoint was put."""
    found: dict[str, set[str]] = {
        endpoint: set() for endpoint in Endpoint.objects.values_list("endpoint_id", flat=True)
    }
    for endpoint, event in ConferenceMatch.objects.values_list(
        "conference__endpoints__endpoint_id", "session__event_id"
    ):
        found[endpoint].add(event)
    return found


def outcomes(event_id: str) -> dict[str, tuple[str, int]]:
    """Who → outcome and minutes, of one class."""
    rows = Outcome.objects.filter(session__event_id=event_id, is_current=True)
    return {
        name.removesuffix("@school.example"): (outcome, round(seconds / 60))
        for name, outcome, seconds in rows.values_list(
            "learner__email", "outcome", "present_seconds"
        )
    }


# --- four weeks on one link ---------------------------------------------------------------------


def four_weeks(school: School, *, ids: bool) -> dict[str, str]:
    """Weekly on one link; the second moved by two days, the third cancelled, then two in a row."""

    def planned(week: int) -> str:
        return instance_id(recurring_id="weekly", original_start_at=FIRST + week * WEEK)

    def said(event_id: str) -> str:
        return event_id if ids else ""

    moved_to = FIRST + WEEK + timedelta(days=2)
    series: dict[str, Any] = {"recurring_id": "weekly"}
    school.plan(planned(0), FIRST, **series)
    school.plan(planned(1), moved_to, original_start_at=FIRST + WEEK, **series)
    school.plan(planned(2), FIRST + 2 * WEEK, **series)
    school.plan(planned(3), FIRST + 3 * WEEK, **series)
    school.plan("extra", FIRST + 3 * WEEK + HOUR)
    minute = timedelta(minutes=1)
    school.hold(FIRST - minute, was={planned(0)}, says=said(planned(0)), minutes=63)
    school.hold(moved_to, was={planned(1)}, says=said(planned(1)), who=("ana", "ben"))
    school.hold(FIRST + 2 * WEEK, was=set(), says=said(planned(2)))  # they had not heard
    last = FIRST + 3 * WEEK
    school.hold(last, was={planned(3)}, says=said(planned(3)), minutes=58, who=("ana",))
    school.hold(last + 59 * minute, was={"extra"}, says=said("extra"), minutes=66, who=("ben",))
    # Two days after the third week's class nobody was there: the move was the second's only.
    return {"plain": planned(0), "moved": planned(1), "off": planned(2), "before": planned(3)}


def cancel(school: School, event_id: str) -> None:
    events = school.fake.calendars[SPANISH]
    kept = [event for event in events if event["id"] != event_id]
    gone = cancelled_instance(
        event_id=event_id, recurring_id="weekly", original_start_at=FIRST + 2 * WEEK
    )
    school.fake.calendars[SPANISH] = [*kept, gone]


@pytest.mark.parametrize("ids", [True, False], ids=["events named", "only the link"])
@pytest.mark.parametrize("known_before", [True, False], ids=["cancelled late", "never seen"])
def test_four_weeks_on_one_link(
    school: School, google: Google, ids: bool, known_before: bool
) -> None:
    names = four_weeks(school, ids=ids)
    if known_before:
        read(google, now=FIRST - HOUR)
    cancel(school, names["off"])
    if known_before:
        read(google, now=FIRST + 2 * WEEK - HOUR)

    read(google, now=FIRST + 3 * WEEK + timedelta(hours=9))

    assert landed() == school.truth
    everybody = {"ana": ("attended", 60), "ben": ("attended", 60), "cem": ("attended", 60)}
    assert outcomes(names["plain"]) == everybody
    assert outcomes(names["moved"]) == everybody | {"cem": ("missed", 0)}
    assert outcomes(names["off"]) == {}
    assert outcomes(names["before"]) == {
        "ana": ("attended", 58), "ben": ("missed", 0), "cem": ("missed", 0),
    }  # fmt: skip
    assert outcomes("extra") == {
        "ana": ("missed", 0), "ben": ("attended", 60), "cem": ("missed", 0),
    }  # fmt: skip
    assert not ReviewItem.objects.exists()


@pytest.mark.parametrize("ids", [True, False], ids=["events named", "only the link"])
def test_read_week_by_week_it_is_the_same(school: School, google: Google, ids: bool) -> None:
    """The calendar as it is each week, the log as it comes: what was concluded stands."""
    names = four_weeks(school, ids=ids)
    everything, school.fake.records = school.fake.records, []
    for week in range(4):
        now = FIRST + week * WEEK + timedelta(days=3)
        if week == 2:
            cancel(school, names["off"])
        school.fake.records = [r for r in everything if r.body["id"]["time"] < f"{now:%Y-%m-%dT%H}"]
        read(google, now=now)

    assert landed() == school.truth
    assert outcomes(names["off"]) == {}
    assert {kind for kind, _ in outcomes(names["moved"]).values()} == {"attended", "missed"}
    assert set(Outcome.objects.values_list("revision", flat=True)) == {1}


# --- other uses of calendars and links -----------------------------------------------------------


def test_one_call_through_two_classes_counts_in_both(school: School, google: Google) -> None:
    school.plan("one", FIRST)
    school.plan("two", FIRST + HOUR)
    school.hold(FIRST, was={"one", "two"}, says="one", minutes=120, who=("ana",))

    read(google, now=FIRST + timedelta(hours=8))

    assert landed() == school.truth
    assert outcomes("one")["ana"] == outcomes("two")["ana"] == ("attended", 60)
    assert outcomes("two")["ben"] == ("missed", 0)


def test_a_call_that_broke_and_was_started_again_is_one_class(
    school: School, google: Google
) -> None:
    school.plan("one", FIRST)
    school.hold(FIRST, was={"one"}, says="one", minutes=25)
    school.hold(FIRST + timedelta(minutes=27), was={"one"}, says="", minutes=33, who=("ana", "ben"))

    read(google, now=FIRST + timedelta(hours=8))

    assert landed() == school.truth
    assert outcomes("one") == {
        "ana": ("attended", 58), "ben": ("attended", 58), "cem": ("partial", 25),
    }  # fmt: skip
    assert Outcome.objects.filter(flags__contains="rejoined").count() == 2


def test_a_log_that_names_only_the_series(school: School, google: Google) -> None:
    ids = [instance_id(recurring_id="weekly", original_start_at=FIRST + w * WEEK) for w in (0, 1)]
    for week, event_id in enumerate(ids):
        school.plan(event_id, FIRST + week * WEEK, recurring_id="weekly")
        school.hold(FIRST + week * WEEK, was={event_id}, says="weekly", code="oth-erco-dex")

    read(google, now=FIRST + WEEK + timedelta(hours=8))

    assert landed() == school.truth
    assert set(ConferenceMatch.objects.values_list("rule", flat=True)) == {"recurring_id"}


def test_two_courses_on_one_link_at_different_times(school: School, google: Google) -> None:
    services.upsert_learner(
        email="dora@school.example", name="Dora", calendar_ids=[DATA], now=FIRST - WEEK
    )
    school.plan("evening", FIRST)
    school.plan("morning", FIRST - timedelta(hours=9), calendar=DATA)
    school.hold(FIRST, was={"evening"}, says="")
    school.hold(FIRST - timedelta(hours=9), was={"morning"}, says="", who=("dora",))

    read(google, now=FIRST + timedelta(hours=8))

    assert landed() == school.truth
    assert outcomes("morning") == {"dora": ("attended", 60)}
    assert set(outcomes("evening")) == set(PEOPLE)


def test_a_short_code_and_days_without_a_time(school: School, google: Google) -> None:
    """Codes of 3-3-3 letters are read like those of 3-4-3; a whole day is no class."""
    school.plan("short", FIRST, meeting_code="xyz-uvw-rst")
    school.plan("holiday", FIRST)
    whole_day = {"start": {"date": "2025-03-04"}, "end": {"date": "2025-03-05"}}
    school.fake.calendars[SPANISH][-1].update(whole_day)
    school.hold(FIRST, was={"short"}, says="", code="XYZUVWRST")

    read(google, now=FIRST + timedelta(hours=8))

    assert landed() == school.truth
    assert list(ClassSession.objects.values_list("event_id", flat=True)) == ["short"]
    assert outcomes("short") == dict.fromkeys(PEOPLE, ("attended", 60))


def test_a_later_call_on_our_link_for_another_event_is_no_presence(
    school: School, google: Google
) -> None:
    school.plan("ours", FIRST)
    school.hold(FIRST, was={"ours"}, says="ours", who=("ana",))
    school.hold(FIRST + timedelta(minutes=70), was=set(), says="somebody-elses", who=("ben",))

    read(google, now=FIRST + timedelta(hours=8))

    assert outcomes("ours") == {
        "ana": ("attended", 60), "ben": ("missed", 0), "cem": ("missed", 0),
    }  # fmt: skip


def test_a_cancelled_class_neither_breaks_nor_lengthens_a_row_of_absences(
    school: School, google: Google
) -> None:
    weeks = [FIRST + week * WEEK for week in range(3)]
    ids = [instance_id(recurring_id="weekly", original_start_at=at) for at in weeks]
    for event_id, at in zip(ids, weeks, strict=True):
        school.plan(event_id, at, recurring_id="weekly")
        if at != weeks[1]:
            school.hold(at, was={event_id}, says=event_id, who=("ana",))
    school.fake.calendars[SPANISH][1] = cancelled_instance(
        event_id=ids[1], recurring_id="weekly", original_start_at=weeks[1]
    )
    for at in weeks:
        read(google, now=at + timedelta(hours=8))

    rows = AttendanceEvent.objects.filter(learner__email="ben@school.example", kind="missed")
    assert list(rows.order_by("session__starts_at").values_list("session__event_id", "streak")) == [
        (ids[0], 1), (ids[2], 2),
    ]  # fmt: skip


def test_a_class_called_off_while_nobody_read_the_calendar_misses_nobody(
    school: School, google: Google
) -> None:
    """The calendar is read from before the gap, as the log is."""
    school.plan("c", FIRST + 2 * WEEK, recurring_id="weekly")
    read(google, now=FIRST - HOUR)
    cancel(school, "c")
    school.hold(FIRST + 2 * WEEK, was=set(), says="", who=("ana",))

    read(google, now=FIRST + 3 * WEEK + 2 * HOUR)

    assert outcomes("c") == {}


def test_a_class_planned_while_nobody_read_the_calendar_is_judged(
    school: School, google: Google
) -> None:
    school.plan("first", FIRST)
    school.hold(FIRST, was={"first"}, says="first")
    read(google, now=FIRST + 8 * HOUR)
    school.plan("new", FIRST + WEEK)
    school.hold(FIRST + WEEK, was={"new"}, says="new")

    read(google, now=FIRST + 3 * WEEK)

    assert set(outcomes("new")) == set(PEOPLE)


def test_a_call_of_another_event_on_our_link_is_for_a_person_to_judge(
    school: School, google: Google
) -> None:
    school.plan("ours", FIRST)
    school.hold(FIRST + timedelta(minutes=70), was=set(), says="else", who=("ben",))

    read(google, now=FIRST + 8 * HOUR)

    assert landed() == school.truth
    assert ReviewItem.objects.filter(kind="ambiguous_call").exists()


def test_a_reading_that_was_killed_does_not_stay_under_way(google: Google) -> None:
    begun = SyncRun.objects.create(
        source="meet", kind="routine", window_start_at=FIRST - HOUR, window_end_at=FIRST,
        started_at=FIRST,
    )  # fmt: skip

    read(google, now=FIRST + 2 * HOUR)

    begun.refresh_from_db()
    assert (begun.state, begun.finished_at) == ("failed", FIRST + 2 * HOUR)


def test_a_class_that_moves_beyond_what_is_read_is_not_announced_at_its_old_time(
    school: School, google: Google
) -> None:
    """It is back when its new time is near; a reading that lists nothing calls nothing off."""
    school.plan("other", FIRST)
    school.plan("far", FIRST + WEEK)
    read(google, now=FIRST - HOUR)
    *kept, _ = school.fake.calendars[SPANISH]
    school.fake.calendars[SPANISH] = []
    read(google, now=FIRST - HOUR / 2)
    far = ClassSession.objects.get(event_id="far")
    assert far.status == "scheduled"

    school.fake.calendars[SPANISH] = kept
    school.plan("far", FIRST + 6 * WEEK)
    read(google, now=FIRST - HOUR / 3)
    far.refresh_from_db()
    assert far.status == "cancelled"
    assert AttendanceEvent.objects.filter(kind="session_cancelled", session=far).exists()

    read(google, now=FIRST + 4 * WEEK)
    far.refresh_from_db()
    assert (far.status, far.starts_at) == ("scheduled", FIRST + 6 * WEEK)
