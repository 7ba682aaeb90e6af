"""What staff may do to a delivery that cannot be known, was given up, or was withdrawn by them."""

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


def why_not_back(
    *, status: str, reason: str, withdrawal: str, due_at: datetime, now: datetime
) -> Reason | None:
    """The reason against owing once more what staff withdrew; None where they may take it back.

    Only before it was due: later, what it says may be out of date.
    """
    if status != Status.CANCELLED or reason != Reason.WITHDRAWN_BY_STAFF:
        return Reason.NOT_WITHDRAWN
    if withdrawal:
        return Reason.WITHDRAWN
    return Reason.DUE_ALREADY if due_at <= now else None
