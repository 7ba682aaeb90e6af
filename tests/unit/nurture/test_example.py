"""When each step would come for Ann of Berlin (P23)."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.example import Coming, coming
from nurture.domain.sequence import (
    Hours,
    SequenceSpec,
    Step,
    StepKind,
    Wait,
    WaitKind,
    Window,
)

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 2, 21, tzinfo=UTC)  # Monday, 22:00 there
CLASS = datetime(2026, 3, 5, 17, tzinfo=UTC)  # Thursday, 18:00 there
HOUR = timedelta(hours=1)
DAYTIME = Window(opens=time(9), closes=time(20))


def come(*steps: Step, **more: object) -> list[Coming]:
    spec = SequenceSpec(slug="s", name="S", steps=steps, **more)  # type: ignore[arg-type]
    return list(coming(spec, now=NOW, zone=BERLIN, next_session=CLASS))


def message(**more: object) -> Step:
    return Step(key="k", text="Hi.", **more)  # type: ignore[arg-type]


def test_each_step_counts_from_when_the_one_before_it_went_out() -> None:
    first, second = come(message(), message(wait=Wait(duration=2 * HOUR)), window=DAYTIME)
    assert first == Coming(at=datetime(2026, 3, 3, 8, tzinfo=UTC))
    assert second == Coming(at=datetime(2026, 3, 3, 10, tzinfo=UTC))


def test_only_messages_wait_for_the_window() -> None:
    (tag,) = come(Step(key="k", kind=StepKind.TAG, options={"add": "x"}), window=DAYTIME)
    assert tag.at == NOW


@pytest.mark.parametrize(
    ("step", "window", "why"),
    [
        (message(enabled=False), DAYTIME, "switched off"),
        (message(), Window(opens=time(9), closes=time(20), days=0), "the window never opens"),
        (message(), DAYTIME, "passed over: outside the window"),
        (
            message(wait=Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=90 * HOUR)),
            None,
            "passed over: its moment is past",
        ),
    ],
)
def test_what_does_not_come_says_why(step: Step, window: Window | None, why: str) -> None:
    assert come(step, window=window, outside_hours=Hours.SKIP) == [Coming(why=why)]


def test_a_class_may_be_over_by_then() -> None:
    before = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=HOUR)
    first, second, third = come(
        message(wait=before), message(wait=Wait(duration=100 * HOUR)), message(wait=before)
    )
    assert first.at == CLASS - HOUR
    assert second.at == CLASS + 99 * HOUR
    assert third == Coming(why="the next class is over by then")


def test_an_event_may_come_earlier() -> None:
    wait = Wait(kind=WaitKind.UNTIL_EVENT, event="pledged", duration=HOUR)
    assert come(message(wait=wait)) == [Coming(at=NOW + HOUR, latest=True)]
