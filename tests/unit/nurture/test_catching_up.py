"""What a journey that was held does with the time that went by (P18)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.catching_up import Policy, Resumption, catch_up
from nurture.domain.conditions import ConditionFacts
from nurture.domain.journey import AddTag, Decision, decide
from nurture.domain.sequence import Step, StepKind, Wait, WaitKind, Window

DAY = timedelta(days=1)
HELD = datetime(2026, 3, 2, 10, tzinfo=UTC)  # a Monday
ANCHOR = HELD - timedelta(hours=1)
WEEKLY = [
    Step(key=f"week{number}", text="Hi", wait=Wait(kind=WaitKind.AFTER, duration=7 * DAY))
    for number in range(1, 6)
]


def resume(
    steps: list[Step],
    *,
    policy: Policy,
    after: timedelta,
    current: str = "",
    came: Mapping[str, timedelta] | None = None,
    **world: Any,
) -> Resumption:
    """Hold a journey at `current` (the first step) for a while, then let it go on.

    `came`: how long after it was held an event came.
    """
    keys = [step.key for step in steps]
    now = HELD + after

    def heard(event: str, since: datetime) -> datetime | None:
        moment = HELD + came[event] if came and event in came else None
        return moment if moment is not None and since < moment <= now else None

    def ask(step: str, anchor: datetime, waited: str, then: datetime) -> Decision:
        given: dict[str, Any] = {
            "facts": ConditionFacts(), "zone": ZoneInfo("UTC"), "window": None, "quiet": None,
            "next_session": None, "steps_taken": 0, "bucket": 0.0,
        }  # fmt: skip
        return decide(
            steps=steps, current=step, anchor=anchor, now=then, waited=waited, came=heard,
            **(given | world),
        )  # fmt: skip

    def following(key: str) -> str | None:
        place = keys.index(key) + 1
        return keys[place] if place < len(keys) else None

    return catch_up(
        ask=ask, after=following, current=current or keys[0], anchor=ANCHOR, policy=policy,
        paused_at=HELD, now=now,
    )  # fmt: skip


def dropped(found: Resumption) -> list[str]:
    """The messages that are let go."""
    return [trace.step_key for trace in found.trail if trace.code == "missed_in_pause"]


def test_of_the_messages_missed_only_the_newest_goes_out() -> None:
    """Weekly steps, held for 15 days: two were missed, the second is sent now."""
    found = resume(WEEKLY, policy=Policy.LATEST, after=15 * DAY)
    assert (found.current, found.anchor) == ("week2", ANCHOR + 7 * DAY)
    assert dropped(found) == ["week1"]


def test_times_are_kept_and_what_was_missed_is_dropped() -> None:
    """As if it had not been held: the third one is due when it always was."""
    found = resume(WEEKLY, policy=Policy.KEEP, after=15 * DAY)
    assert (found.current, found.anchor) == ("week3", ANCHOR + 14 * DAY)
    assert dropped(found) == ["week1", "week2"]


def test_everything_is_later_by_the_pause() -> None:
    """Nothing is dropped, nothing is early."""
    found = resume(WEEKLY, policy=Policy.SHIFT, after=15 * DAY)
    assert (found.current, found.anchor, found.trail) == ("week1", ANCHOR + 15 * DAY, ())


@pytest.mark.parametrize("policy", list(Policy))
def test_a_short_pause_in_which_nothing_was_due_changes_nothing(policy: Policy) -> None:
    """But for a shift, which is a shift."""
    found = resume(WEEKLY, policy=policy, after=timedelta(hours=2))
    late = timedelta(hours=2) if policy is Policy.SHIFT else timedelta(0)
    assert found == Resumption(current="week1", anchor=ANCHOR + late)


def test_a_message_that_has_expired_is_not_the_newest_of_use() -> None:
    """Then the one before it that is still of use; none here."""
    steps = [
        Step(key="short", text="Hi", wait=Wait(duration=DAY), expires=timedelta(hours=3)),
        Step(key="later", text="Hi", wait=Wait(duration=30 * DAY)),
    ]
    found = resume(steps, policy=Policy.LATEST, after=3 * DAY)
    assert (found.current, found.anchor) == ("later", ANCHOR + DAY)
    assert dropped(found) == ["short"]


def test_a_journey_whose_messages_were_all_missed_is_over_when_times_are_kept() -> None:
    """None: nothing is left."""
    assert resume(WEEKLY, policy=Policy.KEEP, after=100 * DAY).current is None
    assert resume(WEEKLY, policy=Policy.LATEST, after=100 * DAY).current == "week5"


def test_waits_and_tags_that_came_in_the_pause_are_done() -> None:
    """A pause after a wait, then a tag, then the message: its wait counts from the wait's end."""
    steps = [
        Step(key="pause", kind=StepKind.WAIT, wait=Wait(duration=DAY)),
        Step(key="tag", kind=StepKind.TAG, options={"add": "waited"}),
        Step(key="hello", text="Hi", wait=Wait(duration=DAY)),
        Step(key="end", text="Hi", wait=Wait(duration=9 * DAY)),
    ]
    found = resume(steps, policy=Policy.LATEST, after=5 * DAY)
    assert found.current == "hello"
    assert found.anchor == ANCHOR + DAY
    assert found.effects == (AddTag(name="waited"),)

    kept = resume(steps, policy=Policy.KEEP, after=5 * DAY)
    assert (kept.current, kept.anchor) == ("end", ANCHOR + 2 * DAY)


def test_what_was_missed_is_judged_by_the_hours_it_would_have_kept() -> None:
    """Held on Monday at ten; the window of Friday alone had not come: nothing was missed."""
    friday = Window(opens=time(9), closes=time(12), days=0b0010000)
    steps = [Step(key="hello", text="Hi", wait=Wait(duration=DAY))]
    found = resume(steps, policy=Policy.KEEP, after=2 * DAY, window=friday)
    assert (found.current, found.trail) == ("hello", ())


def test_a_circle_of_waits_ends() -> None:
    """A branch that leads back to a wait cannot hold up the one who resumes."""
    steps = [
        Step(key="pause", kind=StepKind.WAIT, wait=Wait(duration=DAY)),
        Step(key="back", kind=StepKind.SPLIT, options={"arms": {"pause": 1}}),
    ]
    assert resume(steps, policy=Policy.LATEST, after=300 * DAY).current in {"pause", "back"}


ASKS = Step(
    key="asks", text="Hi",
    wait=Wait(kind=WaitKind.UNTIL_EVENT, event="pledged", duration=5 * DAY),
)  # fmt: skip
WAITS = Step(key="waits", kind=StepKind.WAIT, wait=ASKS.wait)
THEN = Step(key="then", text="Hi", wait=Wait(duration=9 * DAY))


@pytest.mark.parametrize("policy", [Policy.LATEST, Policy.SHIFT])
def test_a_message_goes_out_whose_event_came_in_the_pause(policy: Policy) -> None:
    found = resume([ASKS, THEN], policy=policy, after=3 * DAY, came={"pledged": DAY})
    assert (found.current, dropped(found)) == ("asks", [])
    assert (found.anchor == ANCHOR) if policy is Policy.LATEST else (found.waited == "pledged")


def test_a_message_whose_event_came_in_the_pause_is_missed_where_times_are_kept() -> None:
    """What follows counts from then."""
    found = resume([ASKS, THEN], policy=Policy.KEEP, after=3 * DAY, came={"pledged": DAY})
    assert (found.current, found.anchor) == ("then", HELD + DAY)
    assert dropped(found) == ["asks"]


def test_a_wait_ends_by_what_came_first() -> None:
    """An event after its time-out comes too late."""
    for policy in (Policy.LATEST, Policy.KEEP):
        early = resume([WAITS, THEN], policy=policy, after=7 * DAY, came={"pledged": 2 * DAY})
        assert (early.current, early.anchor) == ("then", HELD + 2 * DAY)
        late = resume([WAITS, THEN], policy=policy, after=7 * DAY, came={"pledged": 6 * DAY})
        assert (late.current, late.anchor) == ("then", ANCHOR + 5 * DAY)
    shifted = resume([WAITS, THEN], policy=Policy.SHIFT, after=7 * DAY, came={"pledged": 6 * DAY})
    assert (shifted.current, shifted.waited) == ("waits", "pledged")  # its time stood still


def test_one_event_ends_one_wait() -> None:
    """Two waits for the same: the second needs another one."""
    again = Step(key="again", kind=StepKind.WAIT, wait=ASKS.wait)
    found = resume([WAITS, again, THEN], policy=Policy.LATEST, after=3 * DAY, came={"pledged": DAY})
    assert (found.current, found.anchor) == ("again", HELD + DAY)


def test_a_message_whose_event_came_waits_for_its_hours() -> None:
    """Its window has not opened since: it is planned for then, and waits for nothing else."""
    friday = Window(opens=time(9), closes=time(12), days=0b0010000)
    found = resume([ASKS], policy=Policy.KEEP, after=2 * DAY, came={"pledged": DAY}, window=friday)
    assert (found.current, found.anchor, found.trail) == ("asks", ANCHOR, ())
