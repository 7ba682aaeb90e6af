"""Whether staff may send a delivery again that cannot be known, or was given up."""

from __future__ import annotations

from datetime import datetime

from delivery.domain.reasons import Reason
from delivery.domain.states import Status

AGAIN = frozenset({Status.UNKNOWN, Status.DEAD})


def why_not_again(
    *,
    status: str,
    is_settled: bool,
    withdrawal: str,
    expires_at: datetime | None,
    now: datetime,
) -> Reason | None:
    """The reason against it; None where a person may decide so.

    An unknown one only after its quarantine: until then its answer may still come. Whatever is
    told twice by this, a person has chosen: nothing sends it again by itself.
    """
    if status not in AGAIN:
        return Reason.NOT_IN_DOUBT
    if withdrawal:
        return Reason.WITHDRAWN
    if not is_settled:
        return Reason.IN_QUARANTINE
    if expires_at is not None and expires_at <= now:
        return Reason.EXPIRED
    return None
