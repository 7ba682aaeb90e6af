"""What delivery does for others. Each function is one unit of work with keyword-only arguments."""

from __future__ import annotations

from delivery.services.again import (
    drop,
    preview_again,
    preview_back,
    send_again,
    take_back,
    withdraw,
    withhold,
)
from delivery.services.archive import archive, drop_months, months, scrub_archive
from delivery.services.chats import (
    DEFAULT_CATEGORY,
    has_consent,
    lose_ids,
    meet_chat,
    register_chat,
    register_chats,
    set_consent,
    set_reachability,
    snooze,
)
from delivery.services.deliveries import (
    cancel,
    cancel_each,
    claim_settled,
    draft,
    enqueue,
    enqueue_many,
    mark_observed,
    resolve_by_evidence,
    retime,
    set_hours,
)
from delivery.services.erasure import forget_chat, forget_leaving, scrub
from delivery.services.gates import (
    close_gate,
    dry_stream,
    ensure_pacing,
    ensure_stream,
    open_gate,
    stream_key,
)
from delivery.services.heartbeats import beat
from delivery.services.rehearsal import is_rehearsal_due, rehearse

__all__ = [
    "DEFAULT_CATEGORY",
    "archive",
    "beat",
    "cancel",
    "cancel_each",
    "claim_settled",
    "close_gate",
    "draft",
    "drop",
    "drop_months",
    "dry_stream",
    "enqueue",
    "enqueue_many",
    "ensure_pacing",
    "ensure_stream",
    "forget_chat",
    "forget_leaving",
    "has_consent",
    "is_rehearsal_due",
    "lose_ids",
    "mark_observed",
    "meet_chat",
    "months",
    "open_gate",
    "preview_again",
    "preview_back",
    "register_chat",
    "register_chats",
    "rehearse",
    "resolve_by_evidence",
    "retime",
    "scrub",
    "scrub_archive",
    "send_again",
    "set_consent",
    "set_hours",
    "set_reachability",
    "snooze",
    "stream_key",
    "take_back",
    "withdraw",
    "withhold",
]
