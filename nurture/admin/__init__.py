"""The console over sequences and journeys: what is said to whom, when, and why."""

from __future__ import annotations

from nurture.admin import (
    alerts,
    backups,
    classes,
    decisions,
    dry_runs,
    jobs,
    journeys,
    people,
    people_page,
    scenarios,
    sequences,
    texts,
)

__all__ = [
    "alerts",
    "backups",
    "classes",
    "decisions",
    "dry_runs",
    "jobs",
    "journeys",
    "people",
    "people_page",
    "scenarios",
    "sequences",
    "texts",
]
