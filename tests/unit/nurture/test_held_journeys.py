"""What a journey that was held does with the time that went by: each policy, each kind of step."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nurture.domain.catching_up import Policy
from nurture.domain.journey import MAX_STEPS, Status
from nurture.domain.sequence import Condition, SequenceSpec, Step, StepKind, Wait, WaitKind
from tests.unit.nurture.machine import Learner, Play
from tests.wall_clock import HOUR

NOON = datetime(2026, 6, 10, 12, tzinfo=UTC)
IN_AN_HOUR = Wait(duration=HOUR)
BEFORE = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=5 * HOUR)
UNTIL = Wait(kind=WaitKind.UNTIL_EVENT, event="pledged", duration=2 * HOUR)
THREE = [Step(key=key, text="Hi", wait=IN_AN_HOUR) for key in ("one", "two", "three")]


def held(*steps: Step, hours: float, policy: Policy, **known: Any) -> Play:
    """A journey that begins at noon, is held at once, and let go so many hours later."""
    play = Play(
        spec=SequenceSpec(slug="it", name="It", steps=steps),
        learner=Learner(zone=ZoneInfo("UTC"), quiet=None),
        now=NOON, **({"next_session": None} | known),
    )  # fmt: skip
    play.plan("")
    play.pause(on_the_wire=False)
    play.until(NOON + hours * HOUR, sending=True)
    play.resume(policy)
    return play


def said(play: Play) -> tuple[list[str], str, datetime | None]:
    """What was passed in the pause, what comes next, and when."""
    due = play.owed.send.due_at if play.owed else play.next_action_at
    return [key for key, _ in play.path], play.step if due else "", due


@pytest.mark.parametrize("policy", Policy)
def test_a_pause_in_which_nothing_came_changes_at_most_the_hour(policy: Policy) -> None:
    late = timedelta(minutes=30) if policy is Policy.SHIFT else timedelta(0)
    assert said(held(*THREE, hours=0.5, policy=policy)) == ([], "one", NOON + HOUR + late)


@pytest.mark.parametrize(
    ("policy", "passed", "next_", "due"),
    [
        pytest.param(Policy.LATEST, ["one"], "two", 2.5, id="the newest of two, now"),
        pytest.param(Policy.KEEP, ["one", "two"], "three", 3, id="none, and on as planned"),
        pytest.param(Policy.SHIFT, [], "one", 3.5, id="all, later by as long"),
    ],
)
def test_two_messages_came_in_the_pause(
    policy: Policy, passed: list[str], next_: str, due: float
) -> None:
    """P02, DF: nobody leaves the journey because it was held, and at most one goes out at once."""
    assert said(held(*THREE, hours=2.5, policy=policy)) == (passed, next_, NOON + due * HOUR)


def test_everything_came_in_the_pause() -> None:
    assert said(held(*THREE, hours=24, policy=Policy.LATEST))[:2] == (["one", "two"], "three")
    over = held(*THREE, hours=24, policy=Policy.KEEP)
    assert over.status is Status.COMPLETED
    assert [key for key, _ in over.path] == ["one", "two", "three"]


def test_what_has_expired_is_not_the_newest() -> None:
    short = Step(key="two", text="Hi", wait=IN_AN_HOUR, expires=HOUR)
    found = held(THREE[0], short, hours=5, policy=Policy.LATEST)
    assert said(found) == ([], "one", NOON + 5 * HOUR)


def test_a_reminder_whose_moment_is_gone_does_not_take_the_place_of_what_is_still_of_use() -> None:
    """It would be passed over at once, and nothing would be said at all."""
    reminder = Step(key="reminder", text="Hi", wait=BEFORE)
    found = held(THREE[0], reminder, hours=7, policy=Policy.LATEST, next_session=NOON + 10 * HOUR)
    assert said(found) == ([], "one", NOON + 7 * HOUR)


def test_a_wait_that_was_over_in_the_pause_is_over() -> None:
    wait = Step(key="wait", kind=StepKind.WAIT, wait=UNTIL)
    found = held(wait, *THREE, hours=2.5, policy=Policy.KEEP)
    assert said(found) == ([], "one", NOON + 3 * HOUR)


def test_a_message_that_waits_for_an_event_goes_out_when_its_time_was_up_in_the_pause() -> None:
    asks = Step(key="asks", text="Hi", wait=UNTIL)
    found = held(asks, hours=3, policy=Policy.LATEST)
    assert said(found)[:2] == ([], "asks")
    found.until(found.now + timedelta(seconds=1), sending=False)
    assert found.owed is not None


def test_an_errand_that_came_in_the_pause_is_done_once() -> None:
    tag = Step(key="tag", kind=StepKind.TAG, wait=IN_AN_HOUR, options={"add": "vip"})
    found = held(tag, *THREE, hours=1.5, policy=Policy.KEEP)
    assert said(found) == (["tag"], "one", NOON + 2 * HOUR)
    assert found.facts.tags == {"vip"}


def test_a_circle_is_followed_no_further_than_its_budget() -> None:
    """A table may hold one, though no file may."""
    yes = Condition(op="is", name="has_next_session")
    options = {"when": yes, "then": "it", "else": "it"}
    circle = Step(key="it", kind=StepKind.BRANCH, wait=IN_AN_HOUR, options=options)
    found = held(circle, hours=1000, policy=Policy.KEEP)
    assert found.steps_taken >= MAX_STEPS
    assert found.status is Status.EXITED
