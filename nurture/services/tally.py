"""How much a pass did."""

from __future__ import annotations

from dataclasses import dataclass

from nurture.services.writes import Writes


@dataclass
class Tally:
    """Counts over the parts of a pass."""

    facts: int = 0  # acted on
    journeys: int = 0  # begun
    deliveries: int = 0  # planned

    def add(self, writes: Writes) -> None:
        """Count what was written."""
        self.journeys += writes.journeys
        self.deliveries += writes.deliveries
