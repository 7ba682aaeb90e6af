"""Fill a database from a file: everything as it was, or nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from psycopg import sql

from config.backups import archive, catalogue
from config.backups.archive import ArchiveError, Content, Manifest, Reader, Tally
from config.backups.catalogue import Cursor, Table
from config.backups.order import load_order
from delivery.services.installation import fence_copy

#: What migrating by itself puts into a database; with rows here alone it is still empty.
_BY_MIGRATING = frozenset(
    {
        "django_migrations",
        "django_content_type",
        "auth_permission",
        "auth_group",
        "auth_group_permissions",
    }
)
_LOCK_SECONDS = 30
#: What is executed as it stands in a file must not be more than this.
_BOUNDS = re.compile(r"DEFAULT|FOR VALUES FROM \('[^'\\]*'\) TO \('[^'\\]*'\)")


class RestoreError(Exception):
    """Nothing was restored: the database is as it was, but for migrations it may have got."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What is in the database now, and why it does not send."""

    manifest: Manifest
    pending: int  # migrations of this code that the backup does not have yet
    fence: str


def restore(*, path: Path, replace: bool = False) -> Restored:
    """Make this database what it was when the backup was taken; every table is compared after.

    The file is verified first. An empty database gets the schema of the backup's migrations; one
    with rows is refused (RestoreError), unless `replace`: then all its rows go, in the transaction
    that brings the others. Safe to run twice. Nothing is sent until an operator runs post_restore.
    """
    with archive.reading(path) as reader:
        reader.verify()
        executor = MigrationExecutor(connection)
        unknown = reader.manifest.migrations - set(executor.loader.graph.nodes)
        if unknown:
            raise RestoreError(
                f"The backup was taken by newer code: this one lacks {_named(unknown)}. "
                "Nothing was changed; restore with the code of then."
            )
        filled = _filled()
        if filled and not replace:
            raise RestoreError(
                f"This database is not empty: there are rows in {', '.join(filled)}. Nothing was "
                "changed; name an empty database in DATABASE_URL, or --replace all that is here."
            )
        _migrate(executor, reader.manifest.migrations, filled)
        fence = _load(reader)
    pending = len(set(executor.loader.graph.nodes) - reader.manifest.migrations)
    return Restored(manifest=reader.manifest, pending=pending, fence=fence)


def _named(migrations: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{app}.{name}" for app, name in sorted(migrations))


def _filled() -> list[str]:
    """The tables that have rows, besides what migrating makes."""
    found = []
    with _cursor() as cursor:
        for name in catalogue.tables(cursor):
            cursor.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(name)))
            if name not in _BY_MIGRATING and (cursor.fetchone() or [False])[0]:
                found.append(name)
    return found


def _migrate(
    executor: MigrationExecutor, wanted: Collection[tuple[str, str]], filled: Collection[str]
) -> None:
    applied = set(executor.loader.applied_migrations)
    if applied == set(wanted):
        return
    if filled:
        raise RestoreError(
            "This database has the schema of other migrations than the backup "
            f"({_named(applied ^ set(wanted))}). Nothing was changed; restore into an empty one."
        )
    try:
        executor.migrate(_targets(executor, wanted))
    except DatabaseError as error:
        raise RestoreError(
            f"The schema of the backup cannot be made here; the database says: {error}"
        ) from None
    with _cursor() as cursor:
        if catalogue.migrations(cursor) != set(wanted):
            raise RestoreError("The migrations of the backup cannot be made of this code's.")


def _targets(
    executor: MigrationExecutor, wanted: Collection[tuple[str, str]]
) -> list[tuple[str, str | None]]:
    """The last migrations of each app that the backup had; apps that it did not have go."""
    graph = executor.loader.graph
    last: list[tuple[str, str | None]] = [
        key
        for key in sorted(wanted)
        if not any(child in wanted and child[0] == key[0] for child in _children(graph, key))
    ]
    apps = {app for app, _ in wanted}
    gone = {app for app, _ in executor.loader.applied_migrations} - apps
    return [*last, *((app, None) for app in sorted(gone))]


def _children(graph: object, key: tuple[str, str]) -> list[tuple[str, str]]:
    nodes = graph.node_map[key].children  # type: ignore[attr-defined]
    return [node.key for node in nodes]


def _cursor() -> Cursor:
    """A cursor of psycopg's in the transaction that Django has, if any."""
    connection.ensure_connection()
    opened: psycopg.Connection[tuple[object, ...]] = connection.connection
    return opened.cursor()


def _load(reader: Reader) -> str:
    """Everything in one transaction; return why the database does not send."""
    contents = {content.name: content for content in reader.manifest.tables}
    try:
        with transaction.atomic(), _cursor() as cursor:
            catalogue.speak_plainly(cursor)
            cursor.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
            tables = catalogue.tables(cursor)
            if missing := sorted(set(contents) - set(tables)):
                raise RestoreError(f"The schema lacks {', '.join(missing)}. Nothing was restored.")
            _empty(cursor, contents)
            _make_partitions(cursor, reader.manifest)
            for group in load_order(tables=contents, references=catalogue.references(cursor)):
                for name in group:
                    _fill(cursor, contents[name], reader)
                # Foreign keys are looked at now, while they are few; circles are whole by now.
                cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            _set_triggers(cursor, contents, "ENABLE")
            _set_sequences(cursor, reader.manifest)
            for content in contents.values():
                _compare(cursor, tables[content.name], content)
            fence = fence_copy(taken_at=reader.manifest.taken_at)
    except psycopg.errors.LockNotAvailable:
        raise RestoreError(
            "Somebody works in this database. Nothing was restored; stop web, worker and clock."
        ) from None
    except psycopg.Error as error:
        said = error.diag.message_primary or type(error).__name__
        raise RestoreError(f"Nothing was restored; the database says: {said}") from None
    with _cursor() as cursor:
        cursor.execute("ANALYZE")
    return fence


def _empty(cursor: Cursor, names: Iterable[str]) -> None:
    every = sql.SQL(", ").join(map(sql.Identifier, names))
    cursor.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(every))
    # What guards the tables against people would refuse the parts of what is published, too.
    _set_triggers(cursor, names, "DISABLE")


def _make_partitions(cursor: Cursor, manifest: Manifest) -> None:
    there = {partition.name for partition in catalogue.partitions(cursor)}
    for name, table, bounds in manifest.partitions:
        if not _BOUNDS.fullmatch(bounds):
            raise ArchiveError(f"The bounds of {name} are none that telbot makes.")
        if name not in there:
            statement = sql.SQL("CREATE TABLE {} PARTITION OF {} {}")
            made = statement.format(sql.Identifier(name), sql.Identifier(table), sql.SQL(bounds))
            cursor.execute(made)


def _set_triggers(cursor: Cursor, names: Iterable[str], word: str) -> None:
    for name in names:
        statement = sql.SQL("ALTER TABLE {} {} TRIGGER USER")
        cursor.execute(statement.format(sql.Identifier(name), sql.SQL(word)))


def _fill(cursor: Cursor, content: Content, reader: Reader) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, content.columns))
    statement = sql.SQL("COPY {} ({}) FROM STDIN")
    with cursor.copy(statement.format(sql.Identifier(content.name), columns)) as copy:
        for block in reader.blocks(content):
            copy.write(block)


def _set_sequences(cursor: Cursor, manifest: Manifest) -> None:
    for name, last in manifest.sequences.items():
        table, _, column = name.rpartition(".")
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence(quote_ident(%s), %s), %s)", [table, column, last]
        )


def _compare(cursor: Cursor, table: Table, content: Content) -> None:
    tally = Tally()
    with cursor.copy(table.rows(content.columns)) as copy:
        for _ in tally.of(copy):
            pass
    if (tally.rows, tally.sha256) != (content.rows, content.sha256):
        raise ArchiveError(
            f"The rows of {content.name} are not what they were once they are in the database. "
            "Nothing was restored."
        )
