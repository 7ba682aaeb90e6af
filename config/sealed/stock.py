"""All sealed columns together: whether the keys fit, under which key what stands, carry it over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connection, models, transaction

from config.sealed.box import PLAIN, SealedError, box
from config.sealed.fields import KeyedHash, KeyedWords, Sealed

BATCH = 1000  # rows that one transaction carries over, and holds


@dataclass(frozen=True, kw_only=True)
class Column:
    """One sealed column with the hash beside it, if it has one."""

    field: Sealed
    hashed: KeyedHash | KeyedWords | None

    @property
    def table(self) -> str:
        """Its table."""
        return str(self.field.model._meta.db_table)

    @property
    def name(self) -> str:
        """Table and column."""
        return f"{self.table}.{self.field.column}"

    @property
    def columns(self) -> str:
        """Key, sealed value, hash: what is read of a row."""
        return f"id, {self.field.column}, {self.hashed.column if self.hashed else 'NULL'}"


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What came of one pass over a column."""

    changed: int
    unreadable: int


def columns() -> Iterator[Column]:
    """Every sealed column of every model."""
    for model in apps.get_models():
        for field in [] if model._meta.proxy else model._meta.local_fields:
            if isinstance(field, Sealed):
                beside: Any = model._meta.get_field(field.beside) if field.beside else None
                yield Column(field=field, hashed=beside)


def problem() -> str:
    """What is wrong with the keys, as the last row of each column tells; "" if they fit.

    A database that does not answer, or is not migrated yet, has no such problem.
    """
    with suppress(DatabaseError):
        return next((wrong for column in columns() if (wrong := _problem(column))), "")
    return ""


def _problem(column: Column) -> str:
    sql = (
        f"SELECT {column.columns} FROM {column.table}"  # noqa: S608
        f" WHERE {column.field.column} <> '' ORDER BY id DESC LIMIT 1"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)
        row = cursor.fetchone()
    if row is None:
        return ""
    try:
        value = column.field.opened(row[1])
    except SealedError as error:
        return str(error)
    if column.hashed is not None and column.hashed.made(value) != row[2]:
        return (
            f"{column.name} is looked up by hashes of another SECRET_KEY; set the earlier one in"
            " SECRET_KEY_FALLBACKS, or stop every process and run manage.py rotate_keys"
        )
    return ""


def held() -> dict[str, Counter[str]]:
    """How many values of each column stand under which key (its id, or `plain`). Reads it all."""
    found = {}
    with connection.cursor() as cursor:
        for column in columns():
            cursor.execute(
                f"SELECT split_part({column.field.column}, ':', 1), count(*)"  # noqa: S608
                f" FROM {column.table} WHERE {column.field.column} <> '' GROUP BY 1"
            )
            found[column.name] = Counter(dict(cursor.fetchall()))
    return found


def left() -> Counter[str]:
    """How many values stand under which key that is not the newest. Reads it all."""
    found = sum(held().values(), Counter())
    del found[box().newest]
    return found


def is_off() -> bool:
    """Whether nothing is sealed."""
    return box().newest == PLAIN


def carry_over(column: Column) -> Carried:
    """Seal every value of a column with the newest key, and hash it with the hash key, anew.

    Each batch is one transaction, so that it may be ended at any time and run again: what is done
    is passed over. What no key opens is left as it is and counted.
    """
    changed, unreadable, last = 0, 0, 0
    while True:
        with transaction.atomic():
            rows = _read(column, after=last)
            made = [(pk, *_carried(column, stored, old)) for pk, stored, old in rows]
            fresh = [row for row in made if row[1] is not None]
            _write(column, fresh)
        changed += len(fresh)
        unreadable += sum(was_read is False for *_, was_read in made)
        if len(rows) < BATCH:
            return Carried(changed=changed, unreadable=unreadable)
        last = rows[-1][0]


def lost(column: Column) -> int:
    """How many values of a column no key opens. Reads it all."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {column.field.column} FROM {column.table}"  # noqa: S608
            f" WHERE {column.field.column} <> ''"
        )
        return sum(not _opens(column, stored) for (stored,) in cursor.fetchall())


def forget_lost(column: Column, *, then: Callable[[list[int]], object] | None = None) -> int:
    """Empty what no key opens; return how many. There is no way back.

    A keyed hash of a number stays: by it the number is recognised when it comes again. `then` is
    told the rows of each batch, within its transaction. Safe to end at any time and to run again.
    """
    forgotten, last = 0, 0
    while True:
        with transaction.atomic():
            rows = _read(column, after=last)
            gone = [row for row in rows if not _opens(column, row[1])]
            empty = column.field.from_text("")
            words = isinstance(column.hashed, KeyedWords)
            _write(column, [
                (pk, "", column.hashed.made(empty) if column.hashed and words else old, old, True)
                for pk, _, old in gone
            ])  # fmt: skip
            if then is not None:
                then([pk for pk, *_ in gone])
        forgotten += len(gone)
        if len(rows) < BATCH:
            return forgotten
        last = rows[-1][0]


def _opens(column: Column, stored: str) -> bool:
    try:
        column.field.opened(stored)
    except SealedError:
        return False
    return True


def _read(column: Column, *, after: int) -> list[tuple[Any, ...]]:
    name = column.field.column
    # Where there is a hash each row is looked at: that may be what is old.
    old = "true" if column.hashed else f"{name} <> '' AND NOT starts_with({name}, %(newest)s)"
    sql = (
        f"SELECT {column.columns} FROM {column.table} WHERE id > %(after)s AND {old}"  # noqa: S608
        f" ORDER BY id LIMIT {BATCH} FOR NO KEY UPDATE"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, {"after": after, "newest": f"{box().newest}:"})
        return list(cursor.fetchall())


def _carried(column: Column, stored: str, old: Any) -> tuple[str | None, Any, Any, bool]:
    """What a row becomes (None: it stays), its hash, the one it had, whether it could be read."""
    if not stored and isinstance(column.hashed, KeyedHash):
        return None, None, old, True  # it was lost: only its hash is left
    try:
        value = column.field.opened(stored)
    except SealedError:
        return None, None, old, False
    hashed = column.hashed.made(value) if column.hashed else None
    is_newest = not stored or stored.startswith(f"{box().newest}:")
    if is_newest and hashed == old:
        return None, None, old, True
    text = column.field.to_text(value)
    return box().seal(text, column.field.purpose), hashed, old, True


def _write(column: Column, rows: Sequence[tuple[Any, ...]]) -> None:
    name, hashed = column.field.column, column.hashed
    beside = f", {hashed.column} = %s" if hashed else ""
    sql = f"UPDATE {column.table} SET {name} = %s{beside} WHERE id = %s"  # noqa: S608
    values = [(sealed, *([made] if hashed else []), pk) for pk, sealed, made, *_ in rows]
    with connection.cursor() as cursor:
        cursor.executemany(sql, values)
        if isinstance(hashed, KeyedHash):
            moved = [(new, old) for _, _, new, old, _ in rows if new != old]
            for follower in _followers(hashed):
                table, column_name = follower.model._meta.db_table, follower.column
                cursor.executemany(
                    f"UPDATE {table} SET {column_name} = %s WHERE {column_name} = %s",  # noqa: S608
                    moved,
                )


def _followers(hashed: KeyedHash) -> Iterator[models.Field[Any, Any]]:
    """Columns of the same hashes in other tables, which hold no value to make them from."""
    for model in apps.get_models():
        for field in [] if model._meta.proxy else model._meta.local_fields:
            if isinstance(field, KeyedHash) and field.purpose == hashed.purpose and not field.of:
                yield field
