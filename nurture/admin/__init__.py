"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from nurture.admin import dry_runs, journeys, people, scenarios, sequences, texts

__all__ = ["dry_runs", "journeys", "people", "scenarios", "sequences", "texts"]
