"""Messages outside their hours, and texts in other languages."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.conditions import ConditionFacts
from nurture.domain.journey import Decision, End, Event, Send, decide
from nurture.domain.reasons import Reason
from nurture.domain.sequence import Hours, Step, Window

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
HELLO = Step(key="hello", text="Hi", texts={"es": "Hola", "pt-br": "Oi"})


def go(**hours: Any) -> Decision:
    """What a journey does with its one message at noon, where messages are not held."""
    given: dict[str, Any] = {"window": None, "quiet": None} | hours
    return decide(
        steps=[HELLO], current="", facts=ConditionFacts(), anchor=NOW, zone=ZoneInfo("UTC"),
        next_session=None, now=NOW, steps_taken=0, bucket=0.0, hours=Hours.SKIP, **given,
    )  # fmt: skip


@pytest.mark.parametrize(
    "shut", [{"window": Window(opens=time(9), closes=time(10))}, {"quiet": (time(11), time(14))}]
)
def test_a_message_outside_its_hours_is_passed_over_where_none_holds_it(
    shut: dict[str, Any],
) -> None:
    """P09: skip instead of hold, for windows and quiet hours alike."""
    found = go(**shut)
    assert found.action == End(event=Event.FINISH)
    assert [trace.code for trace in found.trail] == [Reason.OUTSIDE_HOURS]


def test_a_message_within_its_hours_is_owed() -> None:
    """Skipping is for what lies outside."""
    assert go(quiet=(time(2), time(3))).action == Send(step_key="hello", due_at=NOW)


def test_a_text_is_that_of_the_language_or_of_its_family() -> None:
    """P21: es-mx reads es where there is no other."""
    said = [HELLO.text_for(code) for code in ("es", "es-mx", "pt-br", "pt", "")]
    assert said == ["Hola", "Hola", "Oi", "Hi", "Hi"]
