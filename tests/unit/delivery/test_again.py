"""What staff may send again (P15, P16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from delivery.domain.again import why_not_again, why_not_back
from delivery.domain.states import Status

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
GIVEN_UP: dict[str, Any] = {
    "status": "dead", "is_settled": True, "withdrawal": "", "expires_at": None, "now": NOW,
}  # fmt: skip


@pytest.mark.parametrize(
    ("known", "refusal"),
    [
        ({}, None),
        ({"status": "unknown"}, None),
        ({"status": "unknown", "is_settled": False}, "in_quarantine"),
        ({"withdrawal": "corrected"}, "withdrawn"),
        ({"expires_at": NOW}, "expired"),
        ({"expires_at": NOW + timedelta(seconds=1)}, None),
    ],
)
def test_what_speaks_against_it(known: dict[str, Any], refusal: str | None) -> None:
    assert why_not_again(**(GIVEN_UP | known)) == refusal


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.UNKNOWN, Status.DEAD}))
def test_only_what_is_in_doubt_or_given_up(status: str) -> None:
    assert why_not_again(**(GIVEN_UP | {"status": status})) == "not_in_doubt"


WITHDRAWN: dict[str, Any] = {
    "status": "cancelled", "reason": "withdrawn_by_staff", "withdrawal": "",
    "due_at": NOW + timedelta(hours=1), "now": NOW,
}  # fmt: skip


@pytest.mark.parametrize(
    ("known", "refusal"),
    [
        ({}, None),
        ({"status": "sent", "reason": ""}, "not_withdrawn"),
        ({"reason": "journey_exited"}, "not_withdrawn"),
        ({"reason": "withdrawn"}, "not_withdrawn"),
        ({"withdrawal": "corrected"}, "withdrawn"),
        ({"due_at": NOW}, "due_already"),
    ],
)
def test_what_staff_withdrew_may_go_after_all_until_it_is_due(
    known: dict[str, Any], refusal: str | None
) -> None:
    assert why_not_back(**(WITHDRAWN | known)) == refusal
