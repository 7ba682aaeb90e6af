"""What a delivery may be, and how it may change. The database holds the same table in a trigger."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The one named state in which every delivery is at every instant."""

    PENDING = "pending"  # owed, nobody works on it
    LEASED = "leased"  # a worker holds it; nothing has been written to Telegram
    SENDING = "sending"  # the intent is committed; bytes may be on the wire
    SENT = "sent"  # Telegram accepted it
    UNKNOWN = "unknown"  # it cannot be known whether Telegram accepted it
    FAILED = "failed"  # Telegram refused it for good
    EXPIRED = "expired"  # useless by now, never sent
    CANCELLED = "cancelled"  # withdrawn before it was sent
    SKIPPED = "skipped"  # the last check before sending said no
    DEAD = "dead"  # given up: too many tries, or it kills its workers


IN_FLIGHT = frozenset({Status.LEASED, Status.SENDING})
UNSENT = frozenset({Status.PENDING, Status.LEASED})
ENDS = frozenset(Status) - {Status.PENDING, *IN_FLIGHT}

TRANSITIONS: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.PENDING, Status.LEASED),  # claim
        (Status.PENDING, Status.EXPIRED),
        (Status.PENDING, Status.CANCELLED),
        (Status.PENDING, Status.SKIPPED),
        (Status.PENDING, Status.DEAD),
        (Status.LEASED, Status.PENDING),  # release, rescue, put-off: nothing was written
        (Status.LEASED, Status.SENDING),  # intent
        (Status.LEASED, Status.EXPIRED),
        (Status.LEASED, Status.CANCELLED),
        (Status.LEASED, Status.SKIPPED),
        (Status.LEASED, Status.DEAD),
        (Status.SENDING, Status.PENDING),  # certainly not accepted: try again
        (Status.SENDING, Status.SENT),
        (Status.SENDING, Status.FAILED),
        (Status.SENDING, Status.UNKNOWN),
        (Status.SENDING, Status.EXPIRED),  # certainly not accepted, and too late to try again
        (Status.SENDING, Status.CANCELLED),  # certainly not accepted, and withdrawn meanwhile
        (Status.SENDING, Status.DEAD),  # certainly not accepted, and out of tries
        (Status.UNKNOWN, Status.SENT),  # evidence, or a late result of the same fence
        (Status.UNKNOWN, Status.FAILED),  # a late result of the same fence
        (Status.UNKNOWN, Status.PENDING),  # staff send it again
        (Status.UNKNOWN, Status.CANCELLED),  # staff drop it
        (Status.DEAD, Status.PENDING),  # staff redrive it
        (Status.DEAD, Status.CANCELLED),  # staff drop it
        (Status.CANCELLED, Status.PENDING),  # staff take back what they withdrew
    }
)


def may_become(before: Status, after: Status) -> bool:
    """Whether a delivery may go from `before` to `after` (staying as it is is always allowed)."""
    return before == after or (before, after) in TRANSITIONS
