"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from nurture.admin import classes, journeys, people, sequences, texts

__all__ = ["classes", "journeys", "people", "sequences", "texts"]
