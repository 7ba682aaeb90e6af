"""Migrations expand first and contract later, so that the code before can run on the schema after.

Held by django-migration-linter's reading of the SQL, and by three checks of our own. A step that
breaks older code on purpose is named, with its reason, in migrations.toml beside this file.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.postgres.operations import AddConstraintNotValid, AddIndexConcurrently
from django.db import connection, migrations, models
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState
from django_migration_linter.sql_analyser.analyser import analyse_sql_statements
from django_migration_linter.sql_analyser.base import (
    Check,
    CheckMode,
    CheckType,
    has_not_null_column,
)
from django_migration_linter.sql_analyser.postgresql import PostgresqlAnalyser

TOLD = tomllib.loads((Path(__file__).parent / "migrations.toml").read_text())
RELEASED: dict[str, str] = TOLD["released"]
CONTRACT: dict[str, str] = TOLD["contract"]

pytestmark = pytest.mark.django_db  # SQL is only collected, with the names that are there


def adds_checked_constraint(statements: list[str], **_: Any) -> bool:
    """A CHECK or a foreign key on a table that is there already, proved under its lock."""
    new = {found for sql in statements for found in re.findall(r'^CREATE TABLE ("\w+")', sql)}
    return any(
        found[1] not in new and "NOT VALID" not in sql
        for sql in statements
        if (found := re.match(r'ALTER TABLE ("\w+").* ADD CONSTRAINT .*(CHECK|FOREIGN KEY)', sql))
    )


def wants_a_value(statements: list[str], **_: Any) -> bool:
    """The linter's own check, of each operation by itself: a default excuses no other column."""
    titles = [number for number, sql in enumerate(statements) if sql == "--"]
    return any(
        has_not_null_column(statements[begins:ends])
        for begins, ends in itertools.pairwise([0, *titles, len(statements)])
    )


class Analyser(PostgresqlAnalyser):
    """The linter's checks, and what it does not look at."""

    migration_checks = [
        *PostgresqlAnalyser.migration_checks,
        Check(
            code="NOT_NULL",
            fn=wants_a_value,
            message="a column that older code does not write may not be NULL: give it a db_default",
            mode=CheckMode.TRANSACTION,
            type=CheckType.ERROR,
        ),
        Check(
            code="CONSTRAINT_NOT_VALIDATED_LATER",
            fn=adds_checked_constraint,
            message="a constraint is proved under a lock: AddConstraintNotValid, then"
            " ValidateConstraint in a migration of its own",
            mode=CheckMode.TRANSACTION,
            type=CheckType.ERROR,
        ),
    ]


def problems(migration: Migration, state: ProjectState) -> list[str]:
    """Why older code could not run beside or after `migration`; `state` is moved past it."""
    with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
        migration.apply(state, editor, collect_sql=True)
    transaction = ["BEGIN;"] if migration.atomic else []
    errors, _, warnings = analyse_sql_statements(Analyser, transaction + editor.collected_sql, [])
    found = [f"{issue.message} ({issue.code})" for issue in (*errors, *warnings)]
    if not all(operation.reversible for operation in migration.operations):
        found.append("no way back: give RunPython and RunSQL their reverse (IRREVERSIBLE)")
    return found


def is_newer(migration: Migration) -> bool:
    """Whether it came after the first release."""
    released = RELEASED.get(migration.app_label)
    return released is not None and migration.name > released


def newer_ones() -> Iterator[tuple[str, list[str]]]:
    """Every migration of ours since the first release, with what is wrong."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True)
    state = ProjectState(real_apps=executor.loader.unmigrated_apps)
    for migration, _ in plan:
        if is_newer(migration):
            yield f"{migration.app_label}.{migration.name}", problems(migration, state)
        else:
            state = migration.mutate_state(state, preserve=False)


def test_every_migration_since_the_release_lets_older_code_run() -> None:
    wrong = {name: found for name, found in newer_ones() if found and name not in CONTRACT}

    assert wrong == {}, "expand first; or say in migrations.toml why it may contract"


def test_what_is_told_by_people_is_true() -> None:
    """A name that is misspelt would excuse nothing, or everything."""
    root = Path(__file__).parent.parent.parent
    for app, name in RELEASED.items():
        assert (root / app / "migrations" / f"{name}.py").exists()
    for step, why in CONTRACT.items():
        app, _, name = step.partition(".")
        assert (root / app / "migrations" / f"{name}.py").exists()
        assert len(why) > 20, f"{step}: say why nothing needs it any more"


# --- each rule is broken once on purpose ----------------------------------------------------------

THING: list[tuple[str, models.Field[Any, Any]]] = [
    ("id", models.BigAutoField(primary_key=True)),
    ("name", models.CharField(max_length=20)),
    ("size", models.IntegerField(null=True)),
]


def lint(*operations: Operation, atomic: bool = True) -> list[str]:
    """Codes of what is wrong with a migration of a small world."""
    state = ProjectState()
    state.add_model(ModelState("delivery", "Thing", THING))
    example = type("Example", (Migration,), {"operations": operations, "atomic": atomic})
    migration = example("0099_example", "delivery")
    return sorted({found.rpartition("(")[2].rstrip(")") for found in problems(migration, state)})


SIZE = models.Index(fields=["size"], name="thing_size")
POSITIVE = models.CheckConstraint(condition=models.Q(size__gt=0), name="thing_positive")
ONCE = models.UniqueConstraint(fields=["name"], name="thing_once")
NOBODY = migrations.RunPython.noop


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        (migrations.RemoveField("thing", "size"), "DROP_COLUMN"),
        (migrations.DeleteModel("Thing"), "DROP_TABLE"),
        (migrations.RenameField("thing", "size", "length"), "RENAME_COLUMN"),
        (migrations.RenameModel("Thing", "Item"), "RENAME_TABLE"),
        (migrations.AddField("thing", "colour", models.TextField(default="red")), "NOT_NULL"),
        (migrations.AlterField("thing", "size", models.IntegerField()), "NOT_NULL"),
        (migrations.AlterField("thing", "size", models.TextField(null=True)), "ALTER_COLUMN"),
        (migrations.AddIndex("thing", SIZE), "CREATE_INDEX"),
        (migrations.AddConstraint("thing", ONCE), "ADD_UNIQUE"),
        (migrations.AddConstraint("thing", POSITIVE), "CONSTRAINT_NOT_VALIDATED_LATER"),
        (migrations.RunSQL("UPDATE delivery_thing SET size = 1"), "IRREVERSIBLE"),
        (migrations.RunPython(NOBODY), "IRREVERSIBLE"),
    ],
)
def test_what_breaks_older_code_is_caught(operation: Operation, code: str) -> None:
    assert code in lint(operation)


def test_a_default_of_one_column_excuses_no_other() -> None:
    kept = migrations.AddField("thing", "on", models.BooleanField(db_default=False))
    lost = migrations.AddField("thing", "colour", models.TextField(default="red"))

    assert lint(kept) == []
    assert lint(lost, kept) == lint(kept, lost) == ["NOT_NULL"]


@pytest.mark.django_db(transaction=True)  # an index is built concurrently outside of any
def test_what_expands_is_let_through() -> None:
    expanding = [
        migrations.AddField("thing", "colour", models.TextField(null=True)),
        migrations.AddField("thing", "on", models.BooleanField(db_default=False)),
        migrations.CreateModel("Other", THING, {"constraints": [POSITIVE, ONCE]}),
        AddConstraintNotValid("thing", POSITIVE),
        migrations.RunSQL("SELECT 1", "SELECT 1"),
        migrations.RunPython(NOBODY, NOBODY),
    ]

    assert [found for operation in expanding for found in lint(operation)] == []
    assert lint(AddIndexConcurrently("thing", SIZE), atomic=False) == []
