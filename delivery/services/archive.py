"""Move deliveries of the past into the archive, and drop its oldest months.

What is moved keeps its key, its `dedupe_key` counts as owed before, and its chat can still see and
erase it. One statement moves a lot, so that a delivery is at every instant in one of both tables.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import OperationalError, connection, transaction

from delivery.domain.archive import Month, months_between
from delivery.domain.states import ENDS
from delivery.models import ArchivedDelivery

log = logging.getLogger(__name__)

_COLUMNS = tuple(
    str(field.column)
    for field in ArchivedDelivery._meta.concrete_fields
    if field.column not in {"rest", "tries"}
)
# The columns are named, and the rest is whatever else there is: a new column needs no change here.
_MOVE = f"""
WITH moved AS (
    DELETE FROM nurture_deliveries d
     WHERE d.id = ANY(%(ids)s) AND d.settled_at < %(before)s AND d.observed_at IS NOT NULL
       AND d.status = ANY(%(ends)s)
    RETURNING d.*),
tried AS (
    DELETE FROM delivery_attempt a USING moved m WHERE a.delivery_id = m.id RETURNING a.*),
tries AS (
    SELECT t.delivery_id, jsonb_agg(to_jsonb(t) - 'delivery_id' ORDER BY t.fence) AS rows
      FROM tried t GROUP BY t.delivery_id)
INSERT INTO delivery_archive ({", ".join(_COLUMNS)}, rest, tries)
SELECT {", ".join(f"m.{name}" for name in _COLUMNS)},
       to_jsonb(m) - %(columns)s::text[], coalesce(t.rows, '[]'::jsonb)
  FROM moved m LEFT JOIN tries t ON t.delivery_id = m.id
"""  # noqa: S608
_SPAN = """
SELECT min(settled_at), max(settled_at) FROM nurture_deliveries
 WHERE id = ANY(%(ids)s) AND settled_at < %(before)s
"""
_MONTHS = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'delivery_archive'::regclass ORDER BY c.relname
"""
_SCRUB = """
UPDATE delivery_archive a
   SET text = '', buttons = '[]',
       rest = a.rest || '{"last_error": "", "window_opens": null, "window_closes": null,
                          "window_zone": ""}',
       tries = (SELECT coalesce(jsonb_agg(t || '{"description": ""}'), '[]')
                  FROM jsonb_array_elements(a.tries) t)
 WHERE (a.chat_id = ANY(%(chats)s) OR a.id = ANY(%(ids)s)) AND a.text <> ''
"""
#: Whoever needs the table for longer is not pushed aside: the next night comes.
_PATIENCE = "SET LOCAL lock_timeout = '3s'"
_TURNS = "SELECT pg_advisory_xact_lock(hashtext('delivery_archive'))"


@transaction.atomic
def archive(*, delivery_ids: Iterable[int], before: datetime) -> int:
    """Move those of these deliveries that ended before a moment, and were taken note of.

    Returns how many. The caller says that nobody points at them any more. Safe to run twice and in
    two processes: they take turns, and what is moved is not there a second time. Raises
    OperationalError where a new month cannot be made within 3 s; nothing was moved then.
    """
    values: dict[str, Any] = {
        "ids": list(delivery_ids), "before": before, "columns": list(_COLUMNS),
        "ends": [status.value for status in ENDS],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_TURNS)
        cursor.execute(_SPAN, values)
        oldest, newest = cursor.fetchone()
        if oldest is None:
            return 0
        _make(cursor, months_between(oldest, newest))
        cursor.execute(_MOVE, values)
        return int(cursor.rowcount)


def _make(cursor: Any, wanted: Iterable[Month]) -> None:
    """The months that are not there yet; as a rule one in a month."""
    there = set(months())
    for month in wanted:
        if month not in there:
            cursor.execute(_PATIENCE)
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {month.table} PARTITION OF delivery_archive"
                " FOR VALUES FROM (%s) TO (%s)",
                [month.begins, month.ends],
            )


def months() -> list[Month]:
    """The months of the archive, the oldest first."""
    with connection.cursor() as cursor:
        cursor.execute(_MONTHS)
        return [Month.of_table(row[0]) for row in cursor.fetchall()]


def drop_months(*, before: datetime) -> list[Month]:
    """Drop the months that were over before a moment, each by one statement; return which.

    However many rows they have: it removes files. A month that somebody reads just now for more
    than 3 s is left to the next time. Safe to run twice.
    """
    dropped = []
    for month in months():
        if month.ends <= before.astimezone(UTC) and _drop(month):
            dropped.append(month)
    return dropped


def _drop(month: Month) -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_PATIENCE)
            cursor.execute(f"DROP TABLE IF EXISTS {month.table}")
    except OperationalError:  # in use
        log.warning("archive.month_in_use", extra={"month": str(month)})
        return False
    return True


def scrub_archive(*, chat_ids: Iterable[int] = (), delivery_ids: Iterable[int] = ()) -> int:
    """Empty texts, buttons and what Telegram said, of these chats and these deliveries.

    Returns how many rows. Safe to run twice.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SCRUB, {"chats": list(chat_ids), "ids": list(delivery_ids)})
        return int(cursor.rowcount)
