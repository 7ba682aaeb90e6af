"""How late Google's log is, as measured here."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

OVER = timedelta(days=14)
# With fewer records a percentile says nothing about the next one.
RECORDS_AT_LEAST = 100

_LAG = """
SELECT count(*), percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY lag_seconds)
FROM attendance_activity WHERE lag_seconds IS NOT NULL AND first_seen_at > %s
"""


def measured_lag(*, now: datetime) -> tuple[int | None, int | None, int | None]:
    """The lag of the last two weeks in seconds: half, 95 % and 99 % of the records were no later.

    Only records that we were there to see count (services/ingest.py); None where they are too
    few to say.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LAG, [now - OVER])
        count, found = cursor.fetchone()
    if count < RECORDS_AT_LEAST:
        return None, None, None
    half, most, nearly_all = found
    return half, most, nearly_all
