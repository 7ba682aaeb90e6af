"""The tables of delivery."""

from __future__ import annotations

from delivery.models.chats import Chat, ChatKind, Consent, Reachability
from delivery.models.deliveries import Attempt, AttemptOutcome, Delivery, InboundUpdate, Lane
from delivery.models.functions import BusinessNow
from delivery.models.gates import DRY_STREAMS, OPEN, UNTIL_OPENED, Gate, Installation, Scope

__all__ = [
    "DRY_STREAMS",
    "OPEN",
    "UNTIL_OPENED",
    "Attempt",
    "AttemptOutcome",
    "BusinessNow",
    "Chat",
    "ChatKind",
    "Consent",
    "Delivery",
    "Gate",
    "InboundUpdate",
    "Installation",
    "Lane",
    "Reachability",
    "Scope",
]
