"""Databases of the bench's own, and what is put into them."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, connections

from attendance import services
from attendance.google import Google
from attendance.models import SyncRun
from attendance.sandbox import FakeGoogle, Record, serve, service_account_key
from attendance.sandbox.fake import Response
from attendance.sandbox.shapes import CallInfo, calendar_event, call_ended
from config import embedded

#: One for each bench: of two side by side, neither sees the other's rows or cached flags.
NAME = f"telbot_bench_{Path(sys.argv[0]).stem}"
NOW = datetime(2026, 6, 2, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOST = "host@school.example"
ABSENT_OF = 10  # one learner in ten misses a class
STRIDE = 10_000_000  # between the row numbers of copies


# --- databases ----------------------------------------------------------------------------------


@contextmanager
def own_database(*, cache: str = NAME) -> Iterator[None]:
    """Make the bench's own database on the server of the settings; for the block, then dropped.

    Nothing of the usual database is read or written. What a killed bench left is replaced.
    `cache`: the prefix of cached flags, where other processes must see them, too.
    """
    if settings.USES_EMBEDDED_SERVERS:
        embedded.ensure(settings.LOCAL_DIR)
    usual = connection.settings_dict["NAME"]
    connection.settings_dict["TEST"]["NAME"] = NAME
    settings.CACHES["default"]["KEY_PREFIX"] = cache
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield
    finally:
        connection.creation.destroy_test_db(usual, verbosity=0)


@contextmanager
def copied(suffix: str) -> Iterator[Any]:
    """Copy the bench's database with all that is in it; yield a connection, then drop the copy."""
    connection.creation.clone_test_db(suffix=suffix, verbosity=0, autoclobber=True)
    copy = connections["default"].copy()
    copy.settings_dict = connection.creation.get_test_db_clone_settings(suffix)
    try:
        yield copy
    finally:
        copy.close()
        connection.creation.destroy_test_db(suffix=suffix, verbosity=0)


@contextmanager
def working_on(copy: Any) -> Iterator[None]:
    """Let everything that asks for the database get this connection, for the block."""
    usual = connections["default"]
    connections["default"] = copy
    try:
        yield
    finally:
        connections["default"] = usual


# --- a school -----------------------------------------------------------------------------------


@dataclass
class TimedGoogle(FakeGoogle):
    """A loopback Google that knows how long it took itself, and finds a day's records at once."""

    own_seconds: float = 0.0
    by_day: dict[str, list[Record]] = field(default_factory=dict)

    def add(self, record: Record) -> None:
        """Put a record into the log."""
        self.by_day.setdefault(record.body["id"]["time"][:10], []).append(record)

    def handle(
        self, method: str, path_with_query: str, headers: Mapping[str, str], body: bytes
    ) -> Response:
        """Answer one request."""
        began = time.perf_counter()
        answer = super().handle(method, path_with_query, headers, body)
        self.own_seconds += time.perf_counter() - began
        return answer

    def _activities(self, query: Mapping[str, str]) -> Response:
        first, last = (
            datetime.fromisoformat(query[name]).date() for name in ("startTime", "endTime")
        )
        days = [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]
        small = FakeGoogle(records=[row for day in days for row in self.by_day.get(day, ())])
        return small._activities(query)


@dataclass(frozen=True)
class Plan:
    """So many courses with so many learners, each with so many classes, the newest at `newest`."""

    courses: int
    learners: int
    classes: int
    newest: datetime
    apart: timedelta  # between two classes of a course
    second_devices: int

    @property
    def endpoints(self) -> int:
        """How many records the log has."""
        return self.courses * self.classes * (self.learners - self.absent + self.second_devices + 1)

    @property
    def absent(self) -> int:
        """How many miss each class."""
        return self.learners // ABSENT_OF

    def outcomes(self) -> dict[str, int]:
        """What must be concluded."""
        held = self.courses * self.classes
        missed = held * self.absent
        return {"attended": held * self.learners - missed, "missed": missed}


def enrol(plan: Plan) -> None:
    """Import the learners."""
    for course in range(plan.courses):
        for number in range(plan.learners):
            services.upsert_learner(
                email=_email(course, number), name=f"Learner {number} of {course}",
                calendar_ids=[_calendar(course)], now=plan.newest - timedelta(days=400),
            )  # fmt: skip


def google_of(plan: Plan) -> TimedGoogle:
    """Make Google's calendars and its log of what was held."""
    google = TimedGoogle()
    for course in range(plan.courses):
        events = google.calendars.setdefault(_calendar(course), [])
        for back in range(plan.classes):
            starts_at = plan.newest - back * plan.apart
            name, code = f"c{course}e{back}", f"abc-{course:04}-xyz"
            event = calendar_event(
                event_id=name, starts_at=starts_at, ends_at=starts_at + HOUR, title="A class",
                meeting_code=code, organizer_email=HOST,
            )  # fmt: skip
            events.append(event)
            for record in _held(plan, course, back, starts_at, CallInfo(name, code, name, HOST)):
                google.add(record)
    return google


def _held(
    plan: Plan, course: int, back: int, starts_at: datetime, call: CallInfo
) -> Iterator[Record]:
    absent = {(back + n * ABSENT_OF) % plan.learners for n in range(plan.absent)}
    there = [number for number in range(plan.learners) if number not in absent]
    people = [_email(course, number) for number in (*there, *there[: plan.second_devices])]
    for number, email in enumerate([HOST, *people]):
        body = call_ended(
            call=call, endpoint_id=f"{call.conference_id}-{number}",
            started_at=starts_at + timedelta(seconds=number),
            ended_at=starts_at + HOUR - timedelta(milliseconds=7 * number),
            qualifier=(course * 10_000 + back) * 1000 + number, identifier=email,
            display_name=f"Person {number}",
        )  # fmt: skip
        yield Record(body)


def _email(course: int, number: int) -> str:
    return f"l{number}.c{course}@mail.example"


def _calendar(course: int) -> str:
    return f"c{course}@group.calendar.example"


@contextmanager
def door(fake: FakeGoogle) -> Iterator[Google]:
    """The real client that reads `fake` over HTTP."""
    with serve(fake) as url:
        key = service_account_key(f"{url}/token")
        yield Google(key=key, delegated_user="a@school.example", api_url=url, insist=True)


def read_often(*, days: int) -> None:
    """Note complete readings of the log each ten minutes for so many days up to NOW."""
    runs = [NOW - timedelta(minutes=10 * number) for number in range(1, days * 144)]
    SyncRun.objects.bulk_create(
        SyncRun(
            source="meet", kind="routine", state="complete", window_start_at=at - 6 * HOUR,
            window_end_at=at, started_at=at, finished_at=at,
        )
        for at in reversed(runs)
    )  # fmt: skip


# --- many classes from a few --------------------------------------------------------------------

# What makes the rows of a copy different; references between copied tables follow by themselves.
_PEOPLE = {
    "attendance_learner": ("email", "email_key"),
    "attendance_learneridentity": ("value_key",),
    "attendance_course": ("calendar_id",),
    "attendance_attendancepolicy": (),
    "attendance_enrolment": (),
}
_CLASSES = {
    "attendance_classsession": ("event_id", "meeting_code"),
    "attendance_conference": ("conference_id", "meeting_code"),
    "attendance_conferencematch": (),
    "attendance_activity": ("unique_qualifier",),
    "attendance_endpoint": ("endpoint_id", "identifier", "identifier_key", "mark"),
    "attendance_outcome": (),
    "attendance_attendanceevent": ("key",),
}
_COLUMNS = """
SELECT given.column_name, given.data_type,
       (SELECT held.confrelid::regclass::text FROM pg_constraint held
        JOIN pg_attribute a ON a.attrelid = held.conrelid AND a.attnum = held.conkey[1]
        WHERE held.contype = 'f' AND held.conrelid = %(table)s::regclass
          AND a.attname = given.column_name)
FROM information_schema.columns given
WHERE given.table_schema = 'public' AND given.table_name = %(table)s
  AND given.is_generated = 'NEVER'
"""


def multiply(*, copies: int, same_people: bool) -> None:
    """Copy each class so often: to other courses with other people, or to earlier days of its own.

    Only settled classes are copied into the past; row by row in the database, without services.
    """
    tables = _CLASSES if same_people else _PEOPLE | _CLASSES
    with connection.cursor() as cursor:
        for table, different in tables.items():
            names, values = [], []
            cursor.execute(_COLUMNS, {"table": table})
            for name, kind, refers_to in cursor.fetchall():
                names.append(name)
                values.append(_copied(name, kind, refers_to, tables, different, same_people))
            settled = " WHERE " + _SETTLED[table] if same_people else ""
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)}"
                f" FROM {table} AS row CROSS JOIN generate_series(1, %s) AS copy{settled}",
                [copies],
            )
        for table in tables:
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            )


_PAST = f"IN (SELECT id FROM attendance_classsession WHERE status = 'settled' AND id < {STRIDE})"
_CALLS = f"IN (SELECT conference_id FROM attendance_conferencematch WHERE session_id {_PAST})"
_SETTLED = {
    "attendance_classsession": f"row.id {_PAST}",
    "attendance_conference": f"row.id {_CALLS} AND row.id < {STRIDE}",
    "attendance_conferencematch": f"row.session_id {_PAST}",
    "attendance_activity": "row.id IN (SELECT activity_id FROM attendance_endpoint"
    f" WHERE conference_id {_CALLS})",
    "attendance_endpoint": f"row.conference_id {_CALLS}",
    "attendance_outcome": f"row.session_id {_PAST}",
    "attendance_attendanceevent": f"row.session_id {_PAST}",
}


def _copied(
    name: str,
    kind: str,
    refers_to: str | None,
    tables: Mapping[str, tuple[str, ...]],
    different: tuple[str, ...],
    same_people: bool,
) -> str:
    if name == "id" or refers_to in tables:
        return f"row.{name} + copy::bigint * {STRIDE}"
    if same_people and kind == "timestamp with time zone":
        return f"row.{name} - copy * interval '70 days'"
    same = same_people and name in {"meeting_code", "identifier", "identifier_key", "mark"}
    if name in different and not same:
        return f"CASE row.{name} WHEN '' THEN '' ELSE copy || '-' || row.{name} END"
    return f"row.{name}"
