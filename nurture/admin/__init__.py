"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from nurture.admin import decisions, journeys, people, people_page, sequences, texts

__all__ = ["decisions", "journeys", "people", "people_page", "sequences", "texts"]
