"""Reading what is brought in from elsewhere: rows of text to values, each mistake by its line.

A row may come from a CSV or from a query; the same functions read both. Nothing here raises for
a bad row: readers yield a Problem in its place, so that a file's mistakes are told all at once.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TypeVar

from attendance.domain.identity import email_key, name_key, phone_key
from attendance.domain.kinds import PRESENT_KINDS, IdentityKind, OutcomeKind, PledgeState
from attendance.domain.records import NOBODY

BATCH = 1000

IDENTITY_REQUIRED = ("email", "kind", "value")
IDENTITY_OPTIONAL = ("course",)
HISTORY_REQUIRED = ("email", "course", "starts_at", "ends_at")
HISTORY_OPTIONAL = ("title", "session", "outcome", "pledge")

KINDS = (
    IdentityKind.ALIAS,
    IdentityKind.PHONE,
    IdentityKind.GOOGLE_USER_ID,
    IdentityKind.DISPLAY_NAME,
)
OUTCOMES = (
    *(kind for kind in OutcomeKind if kind in PRESENT_KINDS),
    OutcomeKind.MISSED,
    OutcomeKind.EXCUSED,
)
PLEDGES = tuple(state for state in PledgeState if state != PledgeState.ASKED)
#: What a promise for a class to come can be; the rest is known only afterwards.
PLEDGES_AHEAD = (PledgeState.YES, PledgeState.NO)

_LONGEST = {"course": 320, "session": 1024, "title": 300}

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a file or row of a query: its number, counted from 1, and its cells."""

    number: int
    cells: Mapping[str, str]

    def cell(self, name: str) -> str:
        """The text of a cell without the space around it; "" where there is none."""
        return self.cells.get(name, "").strip()


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What is wrong with one row."""

    number: int
    what: str

    def __str__(self) -> str:
        return f"line {self.number}: {self.what}"


class BadCellError(ValueError):
    """A cell cannot be what it should be; the text says why."""


# --- rows -----------------------------------------------------------------------------------------


def csv_rows(
    lines: Iterable[str], *, required: Collection[str], optional: Collection[str] | None = ()
) -> Iterator[Row | Problem]:
    """Read a CSV whose first line names its columns, with `,` or `;` between cells.

    Empty lines are stepped over. Other columns than these are a mistake, unless `optional` is
    None. A wrong header is all that is told of a file.
    """
    rest = iter(lines)
    header = next(rest, "")
    reader = csv.reader(chain([header], rest), delimiter=delimiter(header), strict=True)
    try:
        names = [name.strip().lower() for name in next(reader, [])]
        wrong = list(_header_problems(names, required, optional))
        yield from wrong
        if wrong:
            return
        number = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield _row(number, names, cells)
            number = reader.line_num + 1
    except csv.Error as error:
        yield Problem(number=reader.line_num, what=f"not readable as CSV ({error})")


def delimiter(header: str) -> str:
    """Return what stands between the cells of this header."""
    return ";" if header.count(";") > header.count(",") else ","


def _header_problems(
    names: Sequence[str], required: Collection[str], optional: Collection[str] | None
) -> Iterator[Problem]:
    for name in required:
        if name not in names:
            yield Problem(number=1, what=f"the column {name} is missing")
    for name in dict.fromkeys(names):
        if optional is not None and name not in required and name not in optional:
            yield Problem(number=1, what=f"unknown column {name!r}")
        elif names.count(name) > 1 and (name in required or name in (optional or ())):
            yield Problem(number=1, what=f"the column {name} is there twice")


def _row(number: int, names: Sequence[str], cells: Sequence[str]) -> Row | Problem:
    if len(cells) > len(names):
        what = f"{len(cells)} cells, but the header names {len(names)} columns"
        return Problem(number=number, what=what)
    return Row(number=number, cells=dict(zip(names, cells, strict=False)))


def parsed(rows: Iterable[Row | Problem], read: Callable[[Row], T]) -> Iterator[T | Problem]:
    """Read each row; what it raises as BadCellError becomes the row's Problem."""
    for row in rows:
        if isinstance(row, Problem):
            yield row
            continue
        try:
            if any("\0" in cell for cell in row.cells.values()):
                raise BadCellError("it holds a zero character, which cannot be stored")
            yield read(row)
        except BadCellError as error:
            yield Problem(number=row.number, what=str(error))


def batches(items: Iterable[T], size: int = BATCH) -> Iterator[list[T]]:
    """Cut what may be long into lists of at most `size`, the last one perhaps shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


# --- identities -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class IdentityRow:
    """A mark that surely is a learner's, both in normal form."""

    number: int
    email: str  # normal form
    kind: IdentityKind
    value: str
    course: str  # calendar id, or "" for a mark that means the same everywhere


def identity_row(row: Row) -> IdentityRow:
    """Read `email,kind,value[,course]`; raises BadCellError."""
    kind = IdentityKind(_one_of(row.cell("kind"), "kind", KINDS))
    course = _short(row, "course")
    if kind == IdentityKind.DISPLAY_NAME and not course:
        raise BadCellError("a display_name means somebody in one course; name it in `course`")
    if kind != IdentityKind.DISPLAY_NAME and course:
        raise BadCellError(f"a {kind} means the same everywhere; leave `course` empty")
    return IdentityRow(
        number=row.number,
        email=_address(row.cell("email")),
        kind=kind,
        value=_VALUES[kind](row.cell("value")),
        course=course,
    )


def _address(text: str) -> str:
    key = email_key(text)
    if not key or len(text) > 320:
        raise BadCellError(f"{text!r} is not an e-mail address")
    return key


def _phone(text: str) -> str:
    if not (key := phone_key(text)):
        raise BadCellError(f"{text!r} is not a whole number such as +4930123456")
    return key


def _account(text: str) -> str:
    number = text.removeprefix("users/")
    if not re.fullmatch(r"[0-9]{1,64}", number) or number == NOBODY:
        raise BadCellError(f"{text!r} is not the number of a Google account")
    return number


def _name(text: str) -> str:
    if not (key := name_key(text)[:200]):
        raise BadCellError(f"{text!r} is not a name")
    return key


_VALUES: Mapping[IdentityKind, Callable[[str], str]] = {
    IdentityKind.ALIAS: _address,
    IdentityKind.PHONE: _phone,
    IdentityKind.GOOGLE_USER_ID: _account,
    IdentityKind.DISPLAY_NAME: _name,
}


# --- history --------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HistoryRow:
    """What is known of one learner in one class."""

    number: int
    email: str  # normal form
    course: str  # calendar id
    starts_at: datetime  # UTC
    ends_at: datetime  # UTC
    title: str
    session: str  # calendar event id, or ""
    outcome: OutcomeKind | None
    pledge: PledgeState | None

    @property
    def made_id(self) -> str:
        """The id for a class that brings none: the same course and start have the same one."""
        text = f"{self.course}|{self.starts_at.isoformat()}"
        return f"import:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def history_row(row: Row) -> HistoryRow:
    """Read `email,course,starts_at,ends_at,title,session,outcome,pledge`; raises BadCellError."""
    course = _short(row, "course")
    if not course:
        raise BadCellError("the course is missing")
    starts_at, ends_at = _moment(row, "starts_at"), _moment(row, "ends_at")
    if ends_at <= starts_at:
        raise BadCellError("the class ends before it begins")
    outcome, pledge = row.cell("outcome"), row.cell("pledge")
    return HistoryRow(
        number=row.number,
        email=_address(row.cell("email")),
        course=course,
        starts_at=starts_at,
        ends_at=ends_at,
        title=_short(row, "title"),
        session=_short(row, "session"),
        outcome=OutcomeKind(_one_of(outcome, "outcome", OUTCOMES)) if outcome else None,
        pledge=PledgeState(_one_of(pledge, "pledge", PLEDGES)) if pledge else None,
    )


def _short(row: Row, name: str) -> str:
    text = row.cell(name)
    if len(text) > _LONGEST[name]:
        raise BadCellError(f"the {name} is longer than {_LONGEST[name]} characters")
    return text


def _one_of(text: str, name: str, known: Sequence[str]) -> str:
    if text.lower() not in known:
        raise BadCellError(f"the {name} {text!r} is none of {', '.join(known)}")
    return text.lower()


def _moment(row: Row, name: str) -> datetime:
    text = row.cell(name)
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise BadCellError(f"{name}: say the zone of {text!r} too, as in 2026-03-03T17:00Z")
        return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        if isinstance(error, BadCellError):
            raise
        raise BadCellError(f"{name}: {text!r} is no ISO date and time") from None
