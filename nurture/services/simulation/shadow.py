"""Copies of the tables that the engine writes, seen by this connection alone, gone at the end.

A temporary table hides the live one of the same name, because PostgreSQL looks into `pg_temp`
first: https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SEARCH-PATH
So the production code runs on them without knowing. They live in a transaction that is always
rolled back: nothing is left behind, even by `kill -9`, and live rows are neither written nor
locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models, transaction
from waffle.models import Flag, Switch

from attendance.models import AttendanceEvent, Outcome, Pledge
from config import telemetry
from delivery.models import ArchivedDelivery, Attempt, Chat, Delivery, Gate, InboundUpdate
from nurture.models import (
    AttendanceTrigger,
    Contact,
    ContactTag,
    Decision,
    HoldoutAssignment,
    Journey,
    PledgeQuestion,
    Sequence,
    SequenceEdit,
    SequenceVersion,
    StaffTask,
    Step,
)

#: Every table that the engine or the recording sender writes or locks.
SHADOWED: tuple[type[models.Model], ...] = (
    AttendanceEvent, Outcome, Pledge, Chat, Delivery, ArchivedDelivery, Attempt, Gate,
    InboundUpdate, Contact, ContactTag, Sequence, SequenceEdit, SequenceVersion, Step,
    AttendanceTrigger, Journey, Decision, StaffTask, HoldoutAssignment, PledgeQuestion, Flag,
    Switch,
)  # fmt: skip

_TOUCHED = """
SELECT relname, n_tup_ins + n_tup_upd + n_tup_del AS rows
  FROM pg_stat_xact_user_tables WHERE schemaname = %s
"""


class LiveRowsTouchedError(AssertionError):
    """A simulation wrote a live table. It was rolled back; this is a fault of ours."""


class _ThrowAwayError(Exception):
    pass


@dataclass
class Shadow:
    """The copies, while they exist."""

    live: str  # the schema of the live tables
    tables: tuple[type[models.Model], ...] = SHADOWED

    def of_live(self, model: type[models.Model]) -> str:
        """The name under which the live table can still be read."""
        return f'"{self.live}"."{model._meta.db_table}"'

    def copy(self, model: type[models.Model], where: str = "true", values: Any = None) -> None:
        """Take over live rows; `where` is SQL over the live table, with its parameters."""
        table = model._meta.db_table
        sql = f"INSERT INTO pg_temp.{table} SELECT * FROM {self.of_live(model)} WHERE {where}"
        with connection.cursor() as cursor:
            cursor.execute(sql, values)

    def ready(self) -> None:
        """New rows get keys after the copied ones; the planner learns how many rows there are."""
        with connection.cursor() as cursor:
            for model in self.tables:
                table = model._meta.db_table
                if isinstance(model._meta.pk, models.AutoField | models.BigAutoField):
                    cursor.execute(
                        f"SELECT setval(pg_get_serial_sequence('pg_temp.{table}', 'id'),"
                        f" (SELECT coalesce(max(id), 0) + 1 FROM pg_temp.{table}), false)"
                    )
                cursor.execute(f"ANALYZE pg_temp.{table}")

    def compact(self) -> None:
        """Write the busiest copies anew, without the row versions that updates left behind.

        Nothing can vacuum within a transaction, and a thousand moments of a term leave so many that
        looking for work took three times as long.
        """
        with connection.cursor() as cursor:
            for model in (AttendanceEvent, Delivery, Journey):
                table = f"pg_temp.{model._meta.db_table}"
                cursor.execute(f"CREATE TEMP TABLE sim_kept AS TABLE {table}")
                cursor.execute(f"TRUNCATE {table}")
                cursor.execute(f"INSERT INTO {table} SELECT * FROM sim_kept")
                cursor.execute("DROP TABLE sim_kept")
                cursor.execute(f"ANALYZE {table}")


@contextmanager
def shadowed(*more: type[models.Model]) -> Iterator[Shadow]:
    """Hide the live tables behind empty copies, for the block; then everything is rolled back.

    `more`: tables besides those that the engine writes. Raises LiveRowsTouchedError if a live
    table was written all the same.
    """
    try:
        with transaction.atomic(), telemetry.silent():
            shadow = Shadow(live=_current_schema(), tables=(*SHADOWED, *more))
            before = _touched(shadow.live)
            _create(shadow.tables)
            yield shadow
            touched = {
                name: rows
                for name, rows in _touched(shadow.live).items()
                if rows != before.get(name, 0)
            }
            if touched:
                raise LiveRowsTouchedError(f"the simulation wrote live tables: {touched}")
            raise _ThrowAwayError
    except _ThrowAwayError:
        pass


def set_clock(at: datetime) -> None:
    """Let telbot_now() stand still at `at` until the shadows vanish."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('telbot.now', %s, true)", [at.isoformat()])


def _current_schema() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        schema: str = cursor.fetchone()[0]
    return schema


def _create(tables: tuple[type[models.Model], ...]) -> None:
    with connection.cursor() as cursor:
        # Thousands of small statements: planning their joins by primary key cost more than they.
        cursor.execute("SET LOCAL join_collapse_limit = 1")
        for model in tables:
            table = model._meta.db_table
            cursor.execute(f"CREATE TEMP TABLE {table} (LIKE {table} INCLUDING ALL)")


def _touched(schema: str) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_TOUCHED, [schema])
        return dict(cursor.fetchall())
