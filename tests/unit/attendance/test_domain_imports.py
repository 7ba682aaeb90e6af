"""Rows of text to values: what is read, and what is refused by its line."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from attendance.domain.import_reports import (
    ReportRow,
    clock_time,
    duration,
    report_rows,
    together,
)
from attendance.domain.imports import (
    BadCellError,
    HistoryRow,
    IdentityRow,
    Problem,
    Row,
    batches,
    csv_rows,
    history_row,
    identity_row,
    parsed,
)
from attendance.domain.kinds import OutcomeKind, PledgeState

MEET = "First name,Last name,Email,Duration,Time joined,Time exited\n"
CONSOLE = "Date,Event,Actor,Actor name,Duration (seconds),Start time\n"


def said(found: Any) -> list[str]:
    """The problems among what was read, as people see them."""
    return [str(row) for row in found if isinstance(row, Problem)]


def only(found: Any) -> Any:
    """The one thing that was read."""
    (row,) = found
    return row


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["Email , course\nr@x.org, a\n", "email;course\nr@x.org;a\n", 'email,course\r\n"r@x.org","a"'],
)
def test_a_csv_with_commas_or_semicolons(text: str) -> None:
    row = only(csv_rows(text.splitlines(keepends=True), required=["email"], optional=["course"]))

    assert (row.number, row.cell("email"), row.cell("course")) == (2, "r@x.org", "a")


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    """Empty lines and cells of several lines count; a short line has empty cells."""
    text = 'email,course\n\n"a\nb",x\n , \nc\n'

    rows = list(csv_rows(text.splitlines(keepends=True), required=["email", "course"]))

    assert [(row.number, row.cell("email")) for row in rows if isinstance(row, Row)] == [
        (3, "a\nb"),
        (6, "c"),
    ]
    assert only(rows[1:]).cell("course") == ""


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["line 1: the column email is missing"]),
        ("mail\nx\n", ["line 1: the column email is missing", "line 1: unknown column 'mail'"]),
        ("email,email\nx\n", ["line 1: the column email is there twice"]),
        ("email,who,who\nx\n", ["line 1: the column who is there twice"]),
        ("email\na,b\n", ["line 2: 2 cells, but the header names 1 columns"]),
    ],
)
def test_what_is_wrong_with_a_csv(text: str, problems: list[str]) -> None:
    rows = csv_rows(text.splitlines(keepends=True), required=["email"], optional=["who"])

    assert said(rows) == problems


def test_a_torn_csv_is_refused_where_it_is_torn() -> None:
    found = list(csv_rows(["email\n", "a\n", 'b"\n', '"c"d\n'], required=["email"]))

    assert [type(row) for row in found] == [Row, Row, Problem]
    assert said(found)[0].startswith("line 4: not readable as CSV")


def test_other_columns_are_let_pass_where_the_file_is_not_ours() -> None:
    row = only(csv_rows(["a,b,b\n", "1,2,3\n"], required=["a"], optional=None))

    assert row.cell("a") == "1"


def test_rows_become_values_or_problems_and_problems_pass() -> None:
    rows: list[Row | Problem] = [
        Problem(number=1, what="bad"),
        Row(number=2, cells={"x": "7"}),
        Row(number=3, cells={"x": "seven\0"}),
    ]

    found = list(parsed(rows, lambda row: int(row.cell("x"))))

    assert found[1] == 7
    assert said(found) == [
        "line 1: bad",
        "line 3: it holds a zero character, which cannot be stored",
    ]


def test_batches_keep_everything_in_order() -> None:
    assert list(batches(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batches([])) == []


# --- identities -----------------------------------------------------------------------------------


def identity(**cells: str) -> IdentityRow:
    return identity_row(Row(number=2, cells={"email": "Rosa@School.example", **cells}))


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("alias", "Ro.Sa+x@gmail.com", "rosa@gmail.com"),
        ("Phone", "+49 (30) 123-456", "+4930123456"),
        ("google_user_id", "users/10350", "10350"),
        ("google_user_id", "10350", "10350"),
    ],
)
def test_a_mark_in_its_normal_form(kind: str, raw: str, value: str) -> None:
    found = identity(kind=kind, value=raw)

    assert (found.email, found.kind, found.value) == ("rosa@school.example", kind.lower(), value)


def test_a_name_means_somebody_in_one_course() -> None:
    found = identity(kind="display_name", value="MARO, Rosa [Student]", course="c@x")

    assert (found.value, found.course) == ("maro rosa", "c@x")


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"email": "rosa", "kind": "alias", "value": "a@x.org"}, "'rosa' is not an e-mail address"),
        ({"kind": "email", "value": "a@x.org"}, "the kind 'email' is none of alias, phone"),
        ({"kind": "alias", "value": "r***@x.org"}, "is not an e-mail address"),
        ({"kind": "alias", "value": "a" * 320 + "@x.org"}, "is not an e-mail address"),
        ({"kind": "phone", "value": "030 123"}, "is not a whole number such as"),
        ({"kind": "google_user_id", "value": "rosa"}, "is not the number of a Google account"),
        ({"kind": "google_user_id", "value": "105250506097979753968"}, "not the number of a"),
        ({"kind": "display_name", "value": "Rosa"}, "name it in `course`"),
        ({"kind": "display_name", "value": "[?]", "course": "c"}, "is not a name"),
        ({"kind": "display_name", "value": "R", "course": "c" * 321}, "longer than 320"),
        ({"kind": "phone", "value": "+4930123456", "course": "c"}, "leave `course` empty"),
    ],
)
def test_a_mark_that_cannot_be_one(cells: dict[str, str], why: str) -> None:
    with pytest.raises(BadCellError, match=why.replace("[", r"\[")):
        identity(**cells)


# --- history --------------------------------------------------------------------------------------


def history(**cells: str) -> HistoryRow:
    given = {
        "email": "rosa@x.org",
        "course": "c@x",
        "starts_at": "2026-03-03T18:00+01:00",
        "ends_at": "2026-03-03T18:00Z",
    }
    return history_row(Row(number=2, cells=given | cells))


def test_a_line_of_history_in_utc() -> None:
    found = history(outcome="Late", pledge="kept", title="Spanish", session="ev1")

    assert (found.starts_at, found.ends_at) == (
        datetime(2026, 3, 3, 17, tzinfo=UTC),
        datetime(2026, 3, 3, 18, tzinfo=UTC),
    )
    assert (found.outcome, found.pledge) == (OutcomeKind.LATE, PledgeState.KEPT)
    assert (found.title, found.session) == ("Spanish", "ev1")


def test_outcome_and_pledge_may_be_empty() -> None:
    assert (history().outcome, history().pledge) == (None, None)


def test_the_made_id_is_of_the_course_and_the_moment() -> None:
    """However the moment is written, and whoever was there."""
    same = history(starts_at="2026-03-03T17:00:00Z", email="bea@x.org", title="x")

    assert history().made_id == same.made_id
    assert history().made_id.startswith("import:")
    assert history(course="d@x").made_id != same.made_id
    assert history(starts_at="2026-03-03T17:01Z").made_id != same.made_id


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"course": ""}, "the course is missing"),
        ({"starts_at": ""}, "starts_at: '' is no ISO date and time"),
        ({"starts_at": "2026-03-03T17:00"}, "starts_at: say the zone"),
        ({"ends_at": "2026-03-03"}, "ends_at: say the zone"),
        ({"starts_at": "0001-01-01T00:00+14:00"}, "is no ISO date and time"),
        ({"ends_at": "2026-03-03T17:00Z"}, "ends before it begins"),
        ({"outcome": "unknown"}, "the outcome 'unknown' is none of attended, late"),
        ({"pledge": "asked"}, "the pledge 'asked' is none of yes, no, kept, broken, excused"),
        ({"title": "x" * 301}, "the title is longer than 300"),
        ({"session": "x" * 1025}, "the session is longer than 1024"),
        ({"email": ""}, "'' is not an e-mail address"),
    ],
)
def test_a_line_of_history_that_is_refused(cells: dict[str, str], why: str) -> None:
    with pytest.raises(BadCellError, match=why):
        history(**cells)


# --- Google's reports -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("45 sec", 45),
        ("58 min", 3480),
        ("1 hr 2 min", 3720),
        ("2 hrs", 7200),
        ("1 hr 2 min 3 sec", 3723),
        ("58\u00a0min", 3480),
        ("0 sec", 0),
    ],
)
def test_a_duration_in_words(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "58", "min", "an hour", "-1 min", "1 min 2 hr"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(BadCellError, match="is not like 45 sec"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:02", time(18, 2)),
        ("6:02 PM", time(18, 2)),
        ("6:02:30\u202fpm", time(18, 2, 30)),
        ("12:00 AM", time(0, 0)),
        ("12:30 p.m.", time(12, 30)),
        ("00:00", time(0, 0)),
    ],
)
def test_a_clock_time(text: str, expected: time) -> None:
    assert clock_time(text) == expected


@pytest.mark.parametrize("text", ["", "24:00", "13:00 PM", "0:30 AM", "18", "18:60", "noon"])
def test_what_is_no_clock_time(text: str) -> None:
    with pytest.raises(BadCellError, match="is not like 18:02 or 6:02 PM"):
        clock_time(text)


def test_meets_own_report() -> None:
    row = only(report_rows([MEET, "Rosa,Maro,rosa@x.org,1 hr 2 min,6:02 PM,7:04 PM\n"]))

    assert (row.number, row.name, row.address) == (2, "Rosa Maro", "rosa@x.org")
    assert row.stayed == timedelta(minutes=62)
    assert (row.joined, row.exited) == ("18:02:00", "19:04:00")


def test_the_consoles_export_is_known_by_its_header() -> None:
    """Of its events only those of devices that left; a number as actor is no address."""
    lines = [
        CONSOLE,
        "x,Endpoint left,rosa@x.org,Rosa Maro,3600,2026-06-02T18:00:00Z\n",
        "x,Knocking accepted,host@x.org,Host,,\n",
        "x,endpoint left,+4930123456,,60,2 June 2026\n",
        "x,Endpoint left,bea@x.org,Bea,61,2026-06-02 18:00:00\n",
    ]

    rosa, phone, bea = (row for row in report_rows(lines) if isinstance(row, ReportRow))

    assert (rosa.name, rosa.address, rosa.stayed) == ("Rosa Maro", "rosa@x.org", timedelta(hours=1))
    assert (rosa.joined, rosa.exited) == ("2026-06-02T18:00:00Z", "2026-06-02T19:00:00+00:00")
    assert (phone.name, phone.address, phone.span) == ("+4930123456", "", None)
    assert (phone.joined, phone.exited) == ("2 June 2026", "")
    assert bea.span == (
        datetime(2026, 6, 2, 18, tzinfo=UTC),
        datetime(2026, 6, 2, 18, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["name,minutes\n"], "line 1: the column first name is missing"),
        (["event,actor\n"], "line 1: the column actor name is missing"),
        ([MEET, ",,,58 min,18:00,18:58\n"], "line 2: neither a name nor an address"),
        ([MEET, "Rosa,,,soon,18:00,18:58\n"], "line 2: the duration 'soon'"),
        ([CONSOLE, "x,Endpoint left,a@x.org,A,1.5,\n"], "line 2: the duration '1.5' is no number"),
    ],
)
def test_a_report_that_is_refused(lines: list[str], problem: str) -> None:
    assert said(report_rows(lines))[0].startswith(problem)


def _stays(*starts: tuple[str, int]) -> list[ReportRow]:
    lines = [f"x,Endpoint left,a@x.org,A,{60 * minutes},{start}\n" for start, minutes in starts]
    return [row for row in report_rows([CONSOLE, *lines]) if isinstance(row, ReportRow)]


def test_two_devices_at_once_count_once() -> None:
    rows = _stays(("2026-06-02T18:10Z", 50), ("2026-06-02T18:00Z", 60))

    presence = together(rows)

    assert presence.stayed == timedelta(minutes=60)
    assert (presence.joined, presence.exited) == ("2026-06-02T18:00Z", "2026-06-02T19:00:00+00:00")


def test_stays_whose_start_cannot_be_read_are_added_up() -> None:
    presence = together(_stays(("2026-06-02T18:00Z", 20), ("later", 10)))

    assert presence.stayed == timedelta(minutes=30)
    assert (presence.joined, presence.exited) == ("2026-06-02T18:00Z", "")
