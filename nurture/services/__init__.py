"""What nurture does for others. Each function is one unit of work with keyword-only arguments."""

from __future__ import annotations

from nurture.services.deliveries import observe_deliveries
from nurture.services.endings import exit_journey
from nurture.services.engine import TickReport, advance_due, has_work, tick
from nurture.services.events import learner_did, process_events
from nurture.services.journeys import answered_pledge, pause, resume
from nurture.services.sequences import (
    ImportResult,
    UnknownSequenceError,
    export,
    import_sequence,
    publish,
    spec_of,
)

__all__ = [
    "ImportResult",
    "TickReport",
    "UnknownSequenceError",
    "advance_due",
    "answered_pledge",
    "exit_journey",
    "export",
    "has_work",
    "import_sequence",
    "learner_did",
    "observe_deliveries",
    "pause",
    "process_events",
    "publish",
    "resume",
    "spec_of",
    "tick",
]
