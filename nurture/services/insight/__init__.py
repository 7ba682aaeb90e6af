"""What staff see of sequences at work. All of it only reads."""

from __future__ import annotations

from nurture.services.insight.effect import Counted, cases, effect
from nurture.services.insight.funnel import (
    REACHED,
    WHOLE,
    Run,
    Runs,
    count_runs,
    runs_at,
)

__all__ = [
    "REACHED",
    "WHOLE",
    "Counted",
    "Run",
    "Runs",
    "cases",
    "count_runs",
    "effect",
    "runs_at",
]
