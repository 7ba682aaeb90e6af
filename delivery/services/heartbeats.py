"""Say that a process is alive."""

from __future__ import annotations

from django.db import connection

from delivery.models import Process

# Real time. Whichever process writes first in a minute counts it; the others find it counted.
_BEAT = """
INSERT INTO delivery_heartbeat AS h (name, hour, first_at, seen_at, minutes)
SELECT %(name)s, date_trunc('hour', t, 'UTC'), t, t, 1 FROM clock_timestamp() AS t
ON CONFLICT (name, hour) DO UPDATE
   SET minutes = h.minutes + (date_trunc('minute', excluded.seen_at)
                              > date_trunc('minute', h.seen_at))::int,
       seen_at = greatest(h.seen_at, excluded.seen_at)
"""


def beat(process: Process) -> None:
    """Note that a process of this kind is alive now, by the database's clock. Safe to run often."""
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, {"name": process.value})
