"""What attendance does for others. Each function is one unit of work with keyword arguments."""

from __future__ import annotations

from attendance.services.audit import draw_audit, judge_audit
from attendance.services.corrections import correct_outcome
from attendance.services.disputes import open_dispute
from attendance.services.erased import erased_among, readmit
from attendance.services.erasure import erase_learner
from attendance.services.facts import publish_outcomes
from attendance.services.handover import claim_events, mark_processed
from attendance.services.identities import (
    IdentityError,
    confirm_identity,
    reject_identity,
    suggest_address,
)
from attendance.services.pledges import (
    ask_pledge,
    ask_pledges,
    excuse_pledge,
    pledge,
    unask_pledges,
)
from attendance.services.probe import Probe, probe
from attendance.services.roster import (
    BadEmailError,
    ErasedAddressError,
    Person,
    upsert_course,
    upsert_learner,
    upsert_learners,
)
from attendance.services.settling import SettleReport, settle, settle_session, take_back
from attendance.services.sync import SyncReport, sync

__all__ = [
    "BadEmailError",
    "ErasedAddressError",
    "IdentityError",
    "Person",
    "Probe",
    "SettleReport",
    "SyncReport",
    "ask_pledge",
    "ask_pledges",
    "claim_events",
    "confirm_identity",
    "correct_outcome",
    "draw_audit",
    "erase_learner",
    "erased_among",
    "excuse_pledge",
    "judge_audit",
    "mark_processed",
    "open_dispute",
    "pledge",
    "probe",
    "publish_outcomes",
    "readmit",
    "reject_identity",
    "settle",
    "settle_session",
    "suggest_address",
    "sync",
    "take_back",
    "unask_pledges",
    "upsert_course",
    "upsert_learner",
    "upsert_learners",
]
