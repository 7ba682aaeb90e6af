"""Settle what is only pretended: the last looks of a real message, and no call (P24)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import connection, transaction

from delivery import queries
from delivery.domain.reasons import Reason
from delivery.domain.states import Status
from delivery.rows import ENDING, PUT_OFF, keys_of
from delivery.services.recording import end_refused, put_off

_LEASE = timedelta(minutes=5)
_LOOK_AGAIN = timedelta(minutes=1)

# One for each chat at a time, so that caps are counted right. Held by staff: left alone.
_DUE = """
    SELECT {columns}
      FROM delivery_gate s
     CROSS JOIN LATERAL (
        SELECT q.id, q.chat_id, q.due_at, q.priority FROM nurture_deliveries q
         WHERE q.stream = s.key AND q.status = 'pending' AND q.lane = 1
           AND q.run_at <= (SELECT telbot_now())
         ORDER BY q.due_at, q.run_at, q.id LIMIT 500) d
     WHERE s.scope = 'stream' AND starts_with(s.key, 'stream:dry:')
       AND NOT EXISTS (
            SELECT FROM delivery_gate r
             WHERE r.key = replace(s.key, 'stream:dry:', 'stream:')
               AND r.closed_until > clock_timestamp())
"""
_ANY_DUE = f"SELECT EXISTS ({_DUE.format(columns='1')})"
_LEASE_DUE = f"""
WITH picked AS (
    {_DUE.format(columns="DISTINCT ON (d.chat_id) d.id")}
     ORDER BY d.chat_id, d.due_at, d.priority, d.id)
UPDATE nurture_deliveries d
   SET status = 'leased', fence = d.fence + 1, slot_at = clock_timestamp(), leased_by = '',
       lease_until = clock_timestamp() + %(lease)s
  FROM picked WHERE d.id = picked.id AND d.status = 'pending'
RETURNING d.id, d.fence
"""


def is_rehearsal_due() -> bool:
    """Whether anything that is only pretended would go out by now; cheap enough each second."""
    with connection.cursor() as cursor:
        cursor.execute(_ANY_DUE)
        found: bool = cursor.fetchone()[0]
    return found


def rehearse() -> int:
    """Settle what would go out now: `skipped` with the reason `dry_run`, or as it would end.

    Consent, reachability, hours, snooze, cap and expiry are looked at as for a real message; no
    call is made and no try is counted. Returns how many deliveries changed. Safe to run twice and
    in many processes: each row is leased by one.
    """
    changed = 0
    while is_rehearsal_due():
        with transaction.atomic():
            leased = _rows(_LEASE_DUE, {"lease": _LEASE})
            _settle(leased)
        if not leased:  # somebody else has them
            break
        changed += len(leased)
    return changed


def _settle(leased: Sequence[dict[str, Any]]) -> None:
    values = {"intents": json.dumps(leased)}
    looked = _rows(queries.LOOK_DRY.format(most=queries.MANY), values)
    end_refused([row for row in looked if row["verdict"] in ENDING])
    put_off([row for row in looked if row["verdict"] in PUT_OFF - {"gate"}])
    held = [row for row in looked if row["verdict"] == "gate"]  # closed in this very moment
    _run(queries.RELEASE_LEASED, {**keys_of(held), "ats": [r["now"] + _LOOK_AGAIN for r in held]})
    said = [row for row in looked if row["verdict"] == "go"]
    ends = {
        "statuses": [Status.SKIPPED.value] * len(said),
        "reasons": [Reason.DRY_RUN.value] * len(said),
    }
    _run(queries.END_LEASED, {**keys_of(said), **ends})


def _run(sql: str, values: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _rows(sql: str, values: dict[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
