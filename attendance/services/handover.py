"""Facts for other apps: claimed, and marked in the transaction that acts on them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attendance.models import AttendanceEvent


def claim_events(*, limit: int) -> list[AttendanceEvent]:
    """Take up to `limit` facts nobody acted on yet, oldest first, for the caller's transaction.

    Rows that another worker holds are left out. What is claimed and not marked comes again.
    """
    return list(
        AttendanceEvent.objects.filter(processed_at__isnull=True)
        .select_related("learner", "session__course", "outcome")
        .order_by("id")
        .select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit]
    )


def mark_processed(*, events: Iterable[AttendanceEvent], now: datetime) -> int:
    """Say that these facts were acted on; return how many were not marked before."""
    keys = [event.pk for event in events]
    return AttendanceEvent.objects.filter(pk__in=keys, processed_at__isnull=True).update(
        processed_at=now
    )
