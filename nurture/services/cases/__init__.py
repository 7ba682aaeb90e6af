"""Case bundles: one journey without personal data, and the same decisions from it (N14)."""

from __future__ import annotations

from nurture.services.cases.bundle import export
from nurture.services.cases.replay import Replayed, UnknownCaseError, replay

__all__ = ["Replayed", "UnknownCaseError", "export", "replay"]
