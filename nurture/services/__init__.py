"""What nurture does for others. Each function is one unit of work with keyword-only arguments."""

from __future__ import annotations

from nurture.services.deliveries import observe_deliveries
from nurture.services.drafts import DraftChangedError, checksum_of, revert, save_draft
from nurture.services.engine import TickReport, advance_due, has_upkeep, has_work, tick
from nurture.services.events import learner_did, process_events
from nurture.services.holding import (
    answered_pledge,
    end_all,
    pause,
    pause_all,
    release_stream,
    resume,
    resume_all,
)
from nurture.services.sequences import (
    ImportResult,
    UnknownSequenceError,
    export,
    import_sequence,
    publish,
    set_mode,
)
from nurture.services.versions import spec_of

__all__ = [
    "DraftChangedError",
    "ImportResult",
    "TickReport",
    "UnknownSequenceError",
    "advance_due",
    "answered_pledge",
    "checksum_of",
    "end_all",
    "export",
    "has_upkeep",
    "has_work",
    "import_sequence",
    "learner_did",
    "observe_deliveries",
    "pause",
    "pause_all",
    "process_events",
    "publish",
    "release_stream",
    "resume",
    "resume_all",
    "revert",
    "save_draft",
    "set_mode",
    "spec_of",
    "tick",
]
