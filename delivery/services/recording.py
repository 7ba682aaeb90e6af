"""Send into a record instead of to Telegram: the last looks of the real sender, without the call.

For simulation, backtest and forecast, in tables that are thrown away. What may go is judged by the
very statements of the real sender (queries.commit and what follows from it); left out are pacing,
which spreads messages over real seconds, and the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection

from delivery import queries, rows
from delivery.domain.states import Status

_LEASE = timedelta(hours=1)
#: What came of a try whose call is left out.
_SENT = {
    "status": Status.SENT, "reason": "", "wait": 0, "uncounted": 0, "diverted": False,
    "outcome": "sent", "said": "",
}  # fmt: skip

# One delivery for each chat at a time, as the real claim does it, so that caps are counted right.
_LEASE_DUE = """
WITH picked AS (
    SELECT DISTINCT ON (d.chat_id) d.id
      FROM nurture_deliveries d
      JOIN delivery_gate s ON s.key = d.stream AND s.closed_until <= clock_timestamp()
     WHERE d.status = 'pending' AND d.run_at <= (SELECT telbot_now())
     ORDER BY d.chat_id, d.due_at, d.priority, d.run_at, d.id)
UPDATE nurture_deliveries d
   SET status = 'leased', fence = d.fence + 1, slot_at = clock_timestamp(), leased_by = '',
       lease_until = clock_timestamp() + %(lease)s
  FROM picked WHERE d.id = picked.id
RETURNING d.id, d.fence
"""
_WORK = """
SELECT EXISTS (SELECT FROM nurture_deliveries d
                WHERE d.status = 'pending' AND d.run_at <= t.now)
   AND NOT EXISTS (SELECT FROM delivery_gate g
                    WHERE g.scope = 'bot' AND g.closed_until > clock_timestamp()) AS due,
       EXISTS (SELECT FROM nurture_deliveries d
                WHERE d.status = 'pending' AND d.expires_at <= t.now) AS expired
  FROM (SELECT telbot_now() AS now) t
"""


def send_recorded() -> int:
    """Record everything that is due as sent, put off or ended, as the sender would have it.

    Returns how many deliveries changed; 0 when nothing can go now. The caller has made sure that
    these are no live rows.
    """
    work = _rows(_WORK)[0]
    changed = _run(queries.EXPIRE) if work["expired"] else 0
    while work["due"] and (leased := _rows(_LEASE_DUE, {"lease": _LEASE})):
        changed += len(leased)
        _last_look(leased)
    return changed


def _last_look(leased: Sequence[dict[str, Any]]) -> None:
    looked = _rows(*queries.commit(results=(), intents=leased, lease=_LEASE))
    end_refused([row for row in looked if row["verdict"] in rows.ENDING])
    put_off([row for row in looked if row["verdict"] in rows.PUT_OFF])
    _record([row for row in looked if row["verdict"] == "go"])


def end_refused(refused: Sequence[dict[str, Any]]) -> None:
    """End leased deliveries that the last look refused."""
    if refused:
        ends = [rows.ending(row) for row in refused]
        said = {
            "statuses": [status.value for status, _ in ends],
            "reasons": [str(reason) for _, reason in ends],
        }
        _run(queries.END_LEASED, {**rows.keys_of(refused), **said})


def put_off(waiting: Sequence[dict[str, Any]]) -> None:
    """Give back leased deliveries that may not go yet."""
    if waiting:
        again = [rows.again_at(row) for row in waiting]
        _run(queries.RELEASE_LEASED, {**rows.keys_of(waiting), "ats": again})


def _record(sent: Sequence[dict[str, Any]]) -> None:
    if not sent:
        return
    results = [{"id": row["id"], "fence": row["fence"], **_SENT} for row in sent]
    _run(*queries.commit(results=results, intents=(), lease=_LEASE))


def _run(sql: str, values: dict[str, Any] | None = None) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return int(cursor.rowcount)


def _rows(sql: str, values: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
