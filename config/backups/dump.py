"""Write all rows of one moment into a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import psycopg
from django.conf import settings

from config.backups import archive, catalogue
from config.backups.archive import Block, Manifest
from config.backups.catalogue import Cursor, Table

Blocks = Iterable[Block]
#: How the rows of a table get into the file: as they are, or without whom they are about.
Way = Callable[[Cursor, Table], Blocks]


def as_they_are(cursor: Cursor, table: Table) -> Iterator[Block]:
    """The rows of a table as COPY writes them."""
    with cursor.copy(table.rows()) as copy:
        yield from copy


def dump(*, path: Path, way: Way = as_they_are, kind: str = "backup") -> Manifest:
    """Write a backup of everything, as of one moment, while everything goes on; return what it has.

    Reads only, in one snapshot; nobody waits for it but a change of the schema. The file appears
    when it is whole. Raises OSError where it cannot be written.
    """
    with catalogue.own_connection() as opened, archive.writing(path) as out:
        opened.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        opened.read_only = True
        with opened.cursor() as cursor:
            catalogue.speak_plainly(cursor)
            (taken_at,) = cursor.execute("SELECT now()").fetchall()[0]
            known = catalogue.tables(cursor)
            migrations = catalogue.migrations(cursor)
            contents = [
                out.add(table.name, table.columns, way(cursor, table)) for table in known.values()
            ]
            manifest = Manifest(
                taken_at=taken_at,
                environment=settings.ENVIRONMENT,
                kind=kind,
                migrations=migrations,
                tables=tuple(contents),
                # Sequences know no snapshot; asked last, they are never behind the rows.
                sequences=catalogue.sequences(cursor),
                partitions=catalogue.partitions(cursor),
            )
        out.finish(manifest)
    return manifest
