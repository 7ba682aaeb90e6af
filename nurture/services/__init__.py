"""What nurture does. Each function is one unit of work with keyword-only arguments."""

from __future__ import annotations

from nurture.services.engine import TickReport, tick
from nurture.services.journeys import pause, resume
from nurture.services.sequences import export, import_sequence, publish

__all__ = ["TickReport", "export", "import_sequence", "pause", "publish", "resume", "tick"]
