"""The tables of delivery."""

from __future__ import annotations

from delivery.models.archive import ArchivedDelivery
from delivery.models.chats import Chat, ChatKind, Consent, Reachability
from delivery.models.deliveries import (
    Attempt,
    AttemptOutcome,
    DeadDelivery,
    Delivery,
    InboundUpdate,
    Lane,
    UnknownDelivery,
)
from delivery.models.functions import BusinessNow
from delivery.models.gates import DRY_STREAMS, OPEN, UNTIL_OPENED, Gate, Installation, Scope
from delivery.models.heartbeats import Heartbeat, Process

__all__ = [
    "DRY_STREAMS",
    "OPEN",
    "UNTIL_OPENED",
    "ArchivedDelivery",
    "Attempt",
    "AttemptOutcome",
    "BusinessNow",
    "Chat",
    "ChatKind",
    "Consent",
    "DeadDelivery",
    "Delivery",
    "Gate",
    "Heartbeat",
    "InboundUpdate",
    "Installation",
    "Lane",
    "Process",
    "Reachability",
    "Scope",
    "UnknownDelivery",
]
