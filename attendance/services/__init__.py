"""What attendance does for others. Each function is one unit of work with keyword arguments."""

from __future__ import annotations

from attendance.services.handover import claim_events, mark_processed
from attendance.services.roster import BadEmailError, upsert_course, upsert_learner
from attendance.services.settling import SettleReport, settle
from attendance.services.sync import SyncReport, sync
from attendance.services.words import open_dispute, pledge

__all__ = [
    "BadEmailError",
    "SettleReport",
    "SyncReport",
    "claim_events",
    "mark_processed",
    "open_dispute",
    "pledge",
    "settle",
    "sync",
    "upsert_course",
    "upsert_learner",
]
