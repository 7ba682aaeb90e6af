"""When a learner is asked before a class whether they come, and when not (S05)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.asking import Ask, judge
from nurture.domain.reasons import Reason

STARTS = datetime(2026, 3, 5, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)


def asked(**overrides: Any) -> Ask | Reason:
    """A day before a class at 18:00, in UTC."""
    values: dict[str, Any] = {
        "off": None, "silent": None, "is_known": False, "asks_from": STARTS - 24 * HOUR,
        "starts_at": STARTS, "zone": ZoneInfo("UTC"), "quiet": None, "now": STARTS - 24 * HOUR,
    }  # fmt: skip
    return judge(**(values | overrides))


def test_at_once_when_the_hour_is_decent() -> None:
    assert asked() == Ask(due_at=STARTS - 24 * HOUR)


def test_not_before_its_time() -> None:
    assert asked(now=STARTS - 30 * HOUR) == Ask(due_at=STARTS - 24 * HOUR)


@pytest.mark.parametrize(
    ("zone", "local"),
    [("Asia/Tokyo", "2026-03-05 08:00"), ("America/Los_Angeles", "2026-03-04 10:00")],
)
def test_by_the_learners_clock(zone: str, local: str) -> None:
    """18:00 UTC is 3 in the morning in Tokyo."""
    verdict = asked(zone=ZoneInfo(zone))
    assert isinstance(verdict, Ask)
    assert verdict.due_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M") == local


def test_after_the_quiet_hours() -> None:
    verdict = asked(quiet=(time(17), time(10)))
    assert verdict == Ask(due_at=STARTS - 8 * HOUR)


@pytest.mark.parametrize(
    "late",
    [
        {"quiet": (time(8), time(8))},
        {"starts_at": STARTS - 11 * HOUR, "now": STARTS - 20 * HOUR},
        {"starts_at": STARTS - 10 * HOUR, "now": STARTS - 20 * HOUR},
    ],
    ids=["always quiet", "before the morning", "with the morning"],
)  # fmt: skip
def test_not_where_the_class_begins_first(late: dict[str, Any]) -> None:
    assert asked(**late) is Reason.TOO_LATE_TO_ASK


def test_the_first_reason_against_it_decides() -> None:
    against = {"off": Reason.NURTURE_OFF, "silent": Reason.OPTED_OUT, "is_known": True}
    assert asked(**against) is Reason.NURTURE_OFF
    assert asked(**against | {"off": None}) is Reason.OPTED_OUT
    assert asked(is_known=True) is Reason.PLEDGE_KNOWN
