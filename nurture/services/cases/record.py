"""What a journey decided, in the form in which two walks are compared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from delivery.models import Delivery
from nurture.domain.case import plain
from nurture.models import Decision


def decisions_of(journey_id: int) -> list[dict[str, Any]]:
    """Every decision of a journey in its order, with what it owed; nothing that can be read."""
    return [
        {
            "at": row.decided_at.isoformat(),
            "code": row.code,
            "step": row.step_key,
            "inputs": plain(row.inputs),
            "owes": _owed(row.delivery) if row.delivery else None,
        }
        for row in rows_of(journey_id)
    ]


def rows_of(journey_id: int) -> Iterable[Decision]:
    """The rows themselves."""
    rows = Decision.objects.filter(journey=journey_id).select_related("delivery", "event")
    return rows.order_by("id")


def key_of(row: Delivery) -> str:
    """Which message of its journey a delivery is: step and number."""
    return row.dedupe_key.split(":", 2)[-1]


def _owed(row: Delivery) -> dict[str, Any]:
    opens, closes = row.window_opens, row.window_closes
    return {
        "due_at": row.due_at.isoformat(),
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "window": [f"{opens:%H:%M}", f"{closes:%H:%M}", row.window_days] if opens else None,
        "category": row.category,
        "priority": row.priority,
        "cap_per_day": row.cap_per_day,
        "status": row.status,
        "reason": row.reason,
    }
