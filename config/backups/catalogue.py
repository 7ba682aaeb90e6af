"""What tables there are, as PostgreSQL's own catalogue says, and how their rows are written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

from config.backups.archive import Partition

Cursor = psycopg.Cursor[Any]

_TABLES = """
SELECT t.relname,
       array(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attgenerated = '' ORDER BY a.attnum),
       array(SELECT quote_ident(a.attname) || CASE WHEN a.attcollation <> 0
                    THEN ' COLLATE "C"' ELSE '' END
               FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k(attnum, place),
                    pg_attribute a
              WHERE i.indrelid = t.oid AND i.indisprimary AND a.attrelid = t.oid
                AND a.attnum = k.attnum ORDER BY k.place)
  FROM pg_class t
 WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition
   AND t.relnamespace = 'public'::regnamespace
 ORDER BY 1
"""
_REFERENCES = """
SELECT DISTINCT t.relname, p.relname FROM pg_constraint k
  JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
 WHERE k.contype = 'f' AND k.conparentid = 0 AND t.relnamespace = 'public'::regnamespace
"""
_SEQUENCES = """
SELECT t.relname || '.' || a.attname, pg_sequence_last_value(s.oid)
  FROM pg_class s
  JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
                  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_class t ON t.oid = d.refobjid
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
 WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace
 ORDER BY 1
"""
_PARTITIONS = """
SELECT c.relname, p.relname, pg_get_expr(c.relpartbound, c.oid)
  FROM pg_inherits i
  JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
 WHERE c.relispartition AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
 ORDER BY 1
"""
# How values are written; equal values must be equal text on every server.
_PLAIN = """
SET LOCAL datestyle = 'ISO, MDY'; SET LOCAL intervalstyle = 'postgres';
SET LOCAL timezone = 'UTC'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex';
SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table, its columns without generated ones, and what its rows are ordered by."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]  # SQL

    def rows(self, columns: tuple[str, ...] = ()) -> sql.Composed:
        """The statement that writes all rows to us, always in the same order."""
        names = sql.SQL(", ").join(map(sql.Identifier, columns or self.columns))
        by = ", ".join(self.key) if self.key else 'all_of_it::text COLLATE "C"'
        return sql.SQL("COPY (SELECT {} FROM {} AS all_of_it ORDER BY {}) TO STDOUT").format(
            names,
            sql.Identifier(self.name),
            sql.SQL(by),
        )


def tables(cursor: Cursor) -> dict[str, Table]:
    """Every table of ours and of Django's, by name; partitions are part of theirs."""
    cursor.execute(_TABLES)
    return {
        name: Table(name=name, columns=tuple(columns), key=tuple(key))
        for name, columns, key in cursor.fetchall()
    }


def references(cursor: Cursor) -> set[tuple[str, str]]:
    """Pairs (table, table that it points at)."""
    cursor.execute(_REFERENCES)
    return {(table, to) for table, to in cursor.fetchall()}


def partitions(cursor: Cursor) -> tuple[Partition, ...]:
    """The parts of partitioned tables, such as months, which no migration makes."""
    cursor.execute(_PARTITIONS)
    return tuple(Partition(*row) for row in cursor.fetchall())


def sequences(cursor: Cursor) -> dict[str, int]:
    """The last number that each sequence gave, by table.column; unused ones are not there."""
    cursor.execute(_SEQUENCES)
    return {name: last for name, last in cursor.fetchall() if last is not None}


def migrations(cursor: Cursor) -> frozenset[tuple[str, str]]:
    """(app, name) of each migration that is applied; none where there is no table of them."""
    cursor.execute("SELECT to_regclass('public.django_migrations') IS NOT NULL")
    if not (cursor.fetchone() or [False])[0]:
        return frozenset()
    cursor.execute("SELECT app, name FROM django_migrations")
    return frozenset((app, name) for app, name in cursor.fetchall())


def speak_plainly(cursor: Cursor) -> None:
    """Have values written alike on every server, for this transaction."""
    cursor.execute(_PLAIN)


@contextmanager
def own_connection(*, autocommit: bool = False) -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own to Django's database, for transactions that Django does not begin."""
    given = connection.get_connection_params()
    ours = {
        name: value
        for name, value in given.items()
        if name not in {"context", "cursor_factory", "prepare_threshold"}
    }
    with psycopg.connect(**ours, autocommit=autocommit) as opened:
        yield opened
