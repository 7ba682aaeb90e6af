"""Scenarios for tests."""

from __future__ import annotations

from typing import Any

from nurture.models import Scenario, Sequence
from tests.factories.nurture import NOW


def given(day: int, at: str, what: str, detail: str = "") -> dict[str, Any]:
    """Something that happens."""
    return {"day": day, "at": at, "what": what, "detail": detail}


def sent(step: str, day: int, at: str) -> dict[str, Any]:
    """A step that must be sent then."""
    return {"step": step, "sent": True, "day": day, "at": at, "reason": ""}


def unsent(step: str, reason: str = "") -> dict[str, Any]:
    """A step that must not be sent."""
    return {"step": step, "sent": False, "day": 1, "at": "00:00", "reason": reason}


def make_scenario(
    sequence: Sequence,
    happens: list[dict[str, Any]],
    expects: list[dict[str, Any]],
    **overrides: Any,
) -> Scenario:
    """A scenario of Rosa's in Berlin that begins on Monday 2 March 2026."""
    values = {
        "sequence": sequence, "name": "Rosa misses a class", "given": happens,
        "expected": expects, "changed_at": NOW,
    }  # fmt: skip
    return Scenario.objects.create(**(values | overrides))
