"""Every migration forward, back and forward on populated tables (S11)."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from delivery.models import ArchivedDelivery
from tests.factories.everything import make_everything

#: As far back as there are tables at all. The guards beside `0001_initial` are part of them: the
#: clock of the database is one, and later migrations ask it.
FIRST = [("nurture", "0002_guards"), ("delivery", "0002_guards"), ("attendance", "0001_initial")]
APPS = {app for app, _ in FIRST}

#: What is in each column of each table: (table, column) → its type, how many rows, and one hash.
Contents = dict[tuple[str, str], tuple[str, str]]


@pytest.fixture
def _copied(transactional_db: None) -> Iterator[None]:
    """A database of the test's own: columns that went and came back stand elsewhere in the row."""
    original = connection.settings_dict["NAME"]
    copy = f"{original}_back_and_forth"
    quote = connection.ops.quote_name
    connection.close()
    # Where coroutines of earlier tests asked by Django: a thread that all share, and keeps its own.
    asyncio.run(sync_to_async(connections.close_all)())
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {quote(copy)}")
        cursor.execute(f"CREATE DATABASE {quote(copy)} TEMPLATE {quote(original)}")
    connection.settings_dict["NAME"] = copy
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = original
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {quote(copy)}")


def migrate(targets: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Go there; return what of ours is applied then."""
    executor = MigrationExecutor(connection)
    gc.disable()  # models of states long past are one large heap of cycles: a third of the time
    try:
        executor.migrate(targets)
    finally:
        gc.enable()
    executor.loader.build_graph()
    return {key for key in executor.loader.applied_migrations if key[0] in APPS}


def contents() -> Contents:
    """What the tables of ours hold."""
    found: Contents = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, array_agg(column_name::text), array_agg(data_type::text)"
            " FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name ~ '^(attendance|delivery|nurture|user)_'"
            " AND table_name !~ '^delivery_archive_'"  # its months, which no migration makes
            " GROUP BY 1"
        )
        for table, columns, types in cursor.fetchall():
            hashes = ", ".join(
                f'count(*) || md5(string_agg("{name}"::text, \'|\' ORDER BY "{name}"::text))'
                for name in columns
            )
            cursor.execute(f'SELECT {hashes} FROM "{table}"')
            found |= {
                (table, name): (kind, said)
                for name, kind, said in zip(columns, types, cursor.fetchone(), strict=True)
            }  # fmt: skip
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("_copied")
def test_every_migration_goes_back_and_forth_and_keeps_the_rows() -> None:
    """What a migration added is gone after its way back; everything else is as it was.

    What it wrote anew in another type is compared when it has that type again.
    """
    make_everything()
    ArchivedDelivery.objects.all().delete()  # it moves; tests/integration/config/test_retention.py
    loader = MigrationExecutor(connection).loader
    leaves = [leaf for leaf in loader.graph.leaf_nodes() if leaf[0] in APPS]
    every = {key for key in loader.disk_migrations if key[0] in APPS}
    before = contents()

    assert len(migrate(FIRST)) == 5
    back = contents()
    assert migrate(leaves) == every
    forth = contents()

    kept = set(back) & set(before)
    same_type = {place for place in kept if back[place][0] == before[place][0]}
    assert len(same_type) > 250
    assert [place for place in same_type if back[place] != before[place]] == []
    assert [place for place in kept if forth[place] != before[place]] == []
    assert {place: said[0] for place, said in forth.items()} == {
        place: said[0] for place, said in before.items()
    }
