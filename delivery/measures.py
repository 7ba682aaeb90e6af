"""What a machine asks about delivery: how its calls went of late, and what the database bears."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

#: Tries are found by their order, since no index has their time. At Telegram's rate there are no
#: more of them in a quarter of an hour.
_LATELY = """
SELECT a.delivery_id, a.started_at, a.finished_at, a.outcome, a.http_status
  FROM (SELECT * FROM delivery_attempt ORDER BY id DESC LIMIT %(most)s) a
 WHERE a.started_at > (SELECT clock_timestamp()) - interval '15 minutes'
"""

_TRIES = f"""
SELECT t.outcome, coalesce(t.http_status, 0), count(*) FROM ({_LATELY}) t GROUP BY 1, 2
"""

# A reply waits for nobody, so it has figures of its own. A try that was put off begins anew with
# its run_at.
_QUANTILES = f"""
WITH t AS MATERIALIZED ({_LATELY})
SELECT 'call', percentile_disc(%(shares)s::float[]) WITHIN GROUP (
        ORDER BY extract(epoch FROM t.finished_at - t.started_at)::float)
  FROM t WHERE t.outcome IN ('sent', 'rejected')
 UNION ALL
SELECT CASE d.lane WHEN 0 THEN 'reply' ELSE 'bulk' END, percentile_disc(%(shares)s::float[])
       WITHIN GROUP (
        ORDER BY extract(epoch FROM t.started_at - greatest(d.due_at, d.run_at))::float)
  FROM t JOIN nurture_deliveries d ON d.id = t.delivery_id
 WHERE t.outcome = 'sent' AND d.status = 'sent' AND NOT d.is_test
 GROUP BY d.lane
"""

_LOAD = """
SELECT pg_database_size(current_database()),
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float
          FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()),
       (SELECT count(*) FROM nurture_deliveries WHERE status IN ('leased', 'sending')),
       (SELECT count(*) FROM delivery_inboundupdate WHERE handled_at IS NULL)
"""

MOST, NEWEST = 30_000, 2_000
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Load:
    """What the database bears, and what is under way."""

    bytes: int
    connections: int
    oldest_transaction_seconds: float
    in_flight: int
    updates_waiting: int


def tries() -> list[tuple[str, int, int]]:
    """Tries of the last quarter of an hour: outcome, HTTP status (0: no answer), how many."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIES, {"most": MOST})
        return [(outcome, status, count) for outcome, status, count in cursor.fetchall()]


def quantiles() -> dict[str, dict[float, float]]:
    """Seconds by share of the newest tries: `call`, that Telegram took to answer; `reply` and
    `bulk`, from when a message might go to its try. What there was none of is not there."""
    with connection.cursor() as cursor:
        cursor.execute(_QUANTILES, {"most": NEWEST, "shares": list(SHARES)})
        rows = cursor.fetchall()
    return {what: dict(zip(SHARES, found, strict=True)) for what, found in rows if found}


def load() -> Load:
    """How it stands now."""
    with connection.cursor() as cursor:
        cursor.execute(_LOAD)
        return Load(*cursor.fetchone())
