"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from nurture.admin import classes, dry_runs, journeys, people, scenarios, sequences, texts

__all__ = ["classes", "dry_runs", "journeys", "people", "scenarios", "sequences", "texts"]
