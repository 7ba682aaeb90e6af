"""Learners, identities and history from another PostgreSQL, by the queries of a mapping file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg
from django.db import transaction
from psycopg.conninfo import conninfo_to_dict
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from attendance.domain.imports import (
    BATCH,
    HISTORY_OPTIONAL,
    HISTORY_REQUIRED,
    IDENTITY_OPTIONAL,
    IDENTITY_REQUIRED,
    Row,
)
from attendance.services import imports
from nurture.services import contacts

#: What can be brought in, in this order, and the columns of each: required, optional.
PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "learners": (contacts.REQUIRED, contacts.OPTIONAL),
    "identities": (IDENTITY_REQUIRED, IDENTITY_OPTIONAL),
    "history": (HISTORY_REQUIRED, HISTORY_OPTIONAL),
}
_CONNECT_SECONDS = 10
_HIDDEN = ("password", "sslpassword")

Told = Callable[[str, int], None]


class LegacyError(ValueError):
    """The import cannot be done; nothing was written. `problems`: one line of words for each."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Part:
    """One query of a mapping, and which of its columns is which of ours."""

    name: str
    query: str
    columns: Mapping[str, str]
    lines: Mapping[str, int]  # of `query` and of each of our columns, in the mapping file


# --- the mapping ----------------------------------------------------------------------------------


def read_mapping(text: str) -> list[Part]:
    """Read a mapping file; raises LegacyError with every mistake by key and line."""
    root = _load(text)
    problems: list[str] = []
    for key in root:
        if key not in PARTS:
            known = ", ".join(PARTS)
            problems.append(f"line {_line(root, key)}: {key}: unknown key; known are {known}")
    parts = [_part(root, name, problems) for name in PARTS if name in root]
    if problems:
        raise LegacyError(*problems)
    return [part for part in parts if part is not None]


def _load(text: str) -> CommentedMap:
    try:
        root = YAML(typ="rt", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = error.problem or "this is not YAML"
        raise LegacyError(f"line {mark.line + 1 if mark else 1}: {said}") from None
    except (YAMLError, RecursionError):
        raise LegacyError("line 1: this is not YAML") from None
    if not isinstance(root, CommentedMap) or not root:
        raise LegacyError(f"line 1: expected one or more of the keys {', '.join(PARTS)}")
    return root


def _part(root: CommentedMap, name: str, problems: list[str]) -> Part | None:
    node, before = root[name], len(problems)
    if not isinstance(node, CommentedMap):
        problems.append(f"line {_line(root, name)}: {name}: expected `query` and `columns`")
        return None
    for key in node:
        if key not in {"query", "columns"}:
            problems.append(f"line {_line(node, key)}: {name}.{key}: unknown key")
    query, columns = node.get("query"), node.get("columns")
    if not isinstance(query, str) or not query.strip():
        problems.append(f"line {_at(root, name, 'query')}: {name}.query: expected a SELECT")
    if not isinstance(columns, CommentedMap):
        where = _at(root, name, "columns")
        problems.append(f"line {where}: {name}.columns: expected ours: theirs for each column")
        return None
    problems += _column_problems(root, name, columns)
    if len(problems) > before:
        return None
    return Part(
        name=name,
        query=str(query),
        columns={str(ours): str(theirs) for ours, theirs in columns.items()},
        lines={
            "query": _line(node, "query"),
            **{str(ours): _line(columns, ours) for ours in columns},
        },
    )


def _column_problems(root: CommentedMap, name: str, columns: CommentedMap) -> Iterator[str]:
    required, optional = PARTS[name]
    for ours, theirs in columns.items():
        where = f"line {_line(columns, ours)}: {name}.columns.{ours}"
        if ours not in required and ours not in optional:
            yield f"{where}: unknown column; known are {', '.join((*required, *optional))}"
        elif not isinstance(theirs, str) or not theirs:
            yield f"{where}: expected the name of a column of the query"
    for ours in required:
        if ours not in columns:
            yield f"line {_at(root, name, 'columns')}: {name}.columns.{ours}: is missing"


def _line(node: CommentedMap, key: Any) -> int:
    return int(node.lc.key(key)[0]) + 1


def _at(root: CommentedMap, name: str, key: str) -> int:
    """The line of a key of a part, or of the part where it lacks the key."""
    return _line(root[name], key) if key in root[name] else _line(root, name)


# --- the other database ---------------------------------------------------------------------------


@contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection]:
    """Open a read-only transaction in the other database: one picture, whatever changes there.

    Raises LegacyError, in which the DSN's password never appears.
    """
    try:
        given = {"connect_timeout": _CONNECT_SECONDS} | conninfo_to_dict(dsn)
    except psycopg.Error:
        # What libpq says of it quotes the DSN.
        raise LegacyError(
            "--dsn is not understood; write postgresql://user@host:5432/database or "
            "host=… dbname=… user=…"
        ) from None
    secrets = [str(given[name]) for name in _HIDDEN if given.get(name)]
    try:
        connection = psycopg.connect(**given)  # type: ignore[arg-type]
    except (psycopg.Error, UnicodeError) as error:
        raise LegacyError(f"The other database does not answer: {_said(error, secrets)}") from None
    with connection:
        connection.read_only = True
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield connection


def _said(error: Exception, secrets: list[str]) -> str:
    said = " ".join(str(error).split())
    for secret in sorted(secrets, key=len, reverse=True):
        said = said.replace(secret, "***")
    return said


def rows_of(
    *, connection: psycopg.Connection, part: Part, told: Told | None = None
) -> Iterator[Row]:
    """Yield the rows of a query as text, read by a cursor of the server, a thousand at a time.

    Raises LegacyError where the query fails or lacks a column.
    """
    try:
        with connection.cursor(name=f"telbot_{part.name}") as cursor:
            cursor.itersize = BATCH
            cursor.execute(part.query.encode())
            places = _places(part, cursor)
            for number, values in enumerate(cursor, start=1):
                yield Row(
                    number=number,
                    cells={ours: cell(values[place]) for ours, place in places.items()},
                )
                if told and number % BATCH == 0:
                    told(part.name, number)
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        where = f"line {part.lines['query']}: {part.name}.query"
        raise LegacyError(f"{where}: the other database says: {said}") from None


def _places(part: Part, cursor: psycopg.ServerCursor[Any]) -> dict[str, int]:
    names = [column.name for column in cursor.description or ()]
    problems = [
        f"line {part.lines[ours]}: {part.name}.columns.{ours}: the query has no column {theirs!r}"
        for ours, theirs in part.columns.items()
        if theirs not in names
    ]
    if problems:
        raise LegacyError(*problems)
    return {ours: names.index(theirs) for ours, theirs in part.columns.items()}


def cell(value: object) -> str:
    """A value as the CSV of the same import would have it; several are put with `;` between."""
    if value is None:
        return ""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return ";".join(cell(item) for item in value)
    return str(value).strip()


# --- the import -----------------------------------------------------------------------------------


@transaction.atomic
def import_legacy(
    *,
    connection: psycopg.Connection,
    parts: list[Part],
    now: datetime,
    dry_run: bool = False,
    told: Told | None = None,
) -> dict[str, Any]:
    """Bring in all parts, or nothing; return what each did.

    The checks are those of the CSVs. Raises LegacyError with every mistake of the first part that
    has any; what follows is not looked at, since it may rest on it. `dry_run` does everything and
    takes it back. Running it again changes nothing.
    """
    done = {}
    for part in parts:
        rows = rows_of(connection=connection, part=part, told=told)
        try:
            done[part.name] = _IMPORTS[part.name](rows, now)
        except (contacts.ImportRefusedError, imports.ImportRefusedError) as refused:
            problems = [f"{part.name}: {problem}" for problem in refused.problems]
            raise LegacyError(*problems) from None
    if dry_run:
        transaction.set_rollback(True)
    return done


_IMPORTS: Mapping[str, Callable[[Iterator[Row], datetime], Any]] = {
    "learners": lambda rows, now: contacts.write_learners(
        rows=contacts.check_learners(rows=rows), now=now
    ),
    "identities": lambda rows, now: imports.import_identities(rows=rows, now=now),
    "history": lambda rows, now: imports.import_history(rows=rows, now=now),
}
