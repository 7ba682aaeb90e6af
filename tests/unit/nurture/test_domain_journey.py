"""The journey machine: every kind of step, every way past one, every status (P05, P06)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.conditions import ConditionFacts
from nurture.domain.journey import (
    MAX_STEPS,
    AddTag,
    Decision,
    End,
    Event,
    HandOver,
    IllegalTransitionError,
    RemoveTag,
    Send,
    Status,
    Trace,
    WaitUntil,
    decide,
    transition,
)
from nurture.domain.reasons import Reason
from nurture.domain.sequence import Condition, Step, StepKind, Wait, WaitKind, Window

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOMORROW = NOW + 24 * HOUR
FINISH = End(event=Event.FINISH)
PLEDGED = Condition(op="is", name="pledged_next")
REPLIED = ConditionFacts(replied=True)
IN_AN_HOUR = Wait(duration=HOUR)
BEFORE = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR)
BEFORE_OR_NOW = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR, if_past="send")
UNTIL = Wait(kind=WaitKind.UNTIL_EVENT, event="pledged", duration=48 * HOUR)
CLOSED = Window(opens=time(9), closes=time(20), days=0)
NINE_TO_TEN = Window(opens=time(9), closes=time(10))


def message(key: str = "hello", **said: Any) -> Step:
    return Step(key=key, text="Hi", **said)


def step(kind: str, key: str = "it", *, wait: Any = None, **options: Any) -> Step:
    return Step(key=key, kind=StepKind(kind), wait=wait or Wait(), options=options)


def go(steps: Sequence[Step], current: str = "", **given: Any) -> Decision:
    """What a journey does that stands at noon, its step before settled at noon."""
    asked: dict[str, Any] = {
        "facts": ConditionFacts(), "anchor": NOW, "zone": UTC_ZONE, "window": None, "quiet": None,
        "next_session": None, "now": NOW, "steps_taken": 0, "bucket": 0.0,
    }  # fmt: skip
    return decide(steps=steps, current=current, **{**asked, **given})


def codes(decision: Decision) -> list[tuple[str, Reason]]:
    return [(trace.step_key, trace.code) for trace in decision.trail]


# --- status ---------------------------------------------------------------------------------------

LEGAL = {
    ("active", "pause"): "paused",
    ("active", "finish"): "completed",
    ("active", "exit"): "exited",
    ("paused", "resume"): "active",
    ("paused", "exit"): "exited",
}


@pytest.mark.parametrize(("status", "event"), list(product(Status, Event)))
def test_every_event_in_every_status(status: Status, event: Event) -> None:
    """Five changes are legal; every other pair is refused in words."""
    expected = LEGAL.get((status.value, event.value))
    if expected is not None:
        assert transition(status, event) is Status(expected)
        return
    with pytest.raises(IllegalTransitionError, match=f"cannot {event} a journey that is {status}"):
        transition(status, event)


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "given_", "due"),
    [
        pytest.param(Wait(), {}, NOW, id="at once"),
        pytest.param(IN_AN_HOUR, {}, NOW + HOUR, id="after"),
        pytest.param(IN_AN_HOUR, {"anchor": NOW - 5 * HOUR}, NOW, id="overdue is due now"),
        pytest.param(
            Wait(kind=WaitKind.AT, at=time(9), plus_days=1), {}, NOW + 21 * HOUR, id="at nine"
        ),
        pytest.param(BEFORE, {"next_session": TOMORROW}, NOW + 22 * HOUR, id="before the class"),
        pytest.param(BEFORE_OR_NOW, {"next_session": NOW + HOUR}, NOW, id="past, send now"),
        pytest.param(Wait(), {"window": NINE_TO_TEN}, NOW + 21 * HOUR, id="the window opens"),
        pytest.param(Wait(), {"quiet": (time(11), time(14))}, NOW + 2 * HOUR, id="quiet hours end"),
        pytest.param(UNTIL, {"waited": "pledged"}, NOW, id="the event came"),
        pytest.param(IN_AN_HOUR, {"waited": "time"}, NOW, id="its time came"),
        pytest.param(BEFORE, {"waited": "time"}, NOW, id="waited for, so not asked again"),
    ],
)
def test_a_message_is_owed(wait: Wait, given_: Mapping[str, Any], due: datetime) -> None:
    """P06: planned at once, with its time, whatever it waits for but an event."""
    found = go([message(wait=wait)], **given_)
    # What announces a class ends with its beginning; nothing else ends by itself.
    ends = given_.get("next_session") if wait in {BEFORE, BEFORE_OR_NOW} else None
    owed = Send(step_key="hello", due_at=due, expires_at=ends)
    assert found == Decision(action=owed)


def test_a_message_that_could_only_go_out_once_the_class_has_begun_is_passed_over() -> None:
    """P10: the window opens at nine, the class begins at half past eight."""
    at_night = NOW + 20 * HOUR + timedelta(minutes=30)

    found = go([message(wait=BEFORE)], window=NINE_TO_TEN, next_session=at_night)

    assert (found.action, codes(found)) == (FINISH, [("hello", Reason.PAST_MOMENT)])


def test_a_short_life_before_a_class_stays_short() -> None:
    found = go([message(wait=BEFORE, expires=HOUR)], next_session=TOMORROW)

    assert found.action == Send(
        step_key="hello", due_at=TOMORROW - 2 * HOUR, expires_at=TOMORROW - HOUR
    )


def test_a_message_expires_counted_from_its_planned_time() -> None:
    found = go([message(expires=24 * HOUR)], window=NINE_TO_TEN)
    opening = NOW + 21 * HOUR
    assert found.action == Send(step_key="hello", due_at=opening, expires_at=opening + 24 * HOUR)


def test_a_message_waits_for_its_event_at_most_so_long() -> None:
    found = go([message(wait=UNTIL)])
    assert found.action == WaitUntil(step_key="hello", at=NOW + 48 * HOUR, event="pledged")


@pytest.mark.parametrize(
    ("first", "given_", "trace"),
    [
        pytest.param(
            message("first", enabled=False), {}, Trace(step_key="first", code=Reason.STEP_DISABLED),
            id="disabled",
        ),
        pytest.param(
            message("first", when=PLEDGED), {},
            Trace(
                step_key="first", code=Reason.CONDITION_FALSE, inputs={"pledged_next": False}
            ),
            id="when is false",
        ),
        pytest.param(
            message("first", wait=BEFORE), {"next_session": NOW + HOUR},
            Trace(
                step_key="first", code=Reason.PAST_MOMENT,
                inputs={"moment": (NOW - HOUR).isoformat()},
            ),
            id="its moment has gone by",
        ),
        pytest.param(
            message("first", wait=BEFORE), {}, Trace(step_key="first", code=Reason.NO_NEXT_SESSION),
            id="no next class",
        ),
        pytest.param(
            message("first", wait=BEFORE_OR_NOW), {"next_session": NOW},
            Trace(step_key="first", code=Reason.NO_NEXT_SESSION), id="a class that has begun",
        ),
    ],
)  # fmt: skip
def test_a_step_is_passed_with_its_reason(
    first: Step, given_: Mapping[str, Any], trace: Trace
) -> None:
    """P06, P27: nothing is owed for it, the trail says why, and the next step is considered."""
    assert go([first, message()], **given_) == Decision(
        action=Send(step_key="hello", due_at=NOW), trail=(trace,)
    )


def test_enrolled_a_day_before_a_step_three_days_before() -> None:
    """P06: no delivery, and a trace that says so."""
    early = Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=72 * HOUR)
    found = go([message(wait=early)], next_session=TOMORROW)
    assert found.action == FINISH
    assert codes(found) == [("hello", Reason.PAST_MOMENT)]


def test_a_window_that_never_opens_passes_the_message() -> None:
    found = go([message()], window=CLOSED)
    assert found.action == FINISH
    assert codes(found) == [("hello", Reason.WINDOW_NEVER_OPENS)]


def test_a_condition_that_holds_lets_the_step_through() -> None:
    found = go([message(when=PLEDGED)], facts=ConditionFacts(pledged_next=True))
    assert found == Decision(action=Send(step_key="hello", due_at=NOW))


# --- where it goes on -----------------------------------------------------------------------------


def test_a_journey_goes_on_from_its_current_step() -> None:
    steps = [message("one"), message("two"), message("three")]
    assert go(steps, "two").action == Send(step_key="two", due_at=NOW)


@pytest.mark.parametrize("current", ["", "gone"])
def test_a_journey_without_a_step_left_is_finished(current: str) -> None:
    steps = [message()] if current else []
    assert go(steps, current) == Decision(action=FINISH)


# --- the other kinds ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in StepKind if kind is not StepKind.MESSAGE])
def test_no_kind_acts_before_its_time(kind: StepKind) -> None:
    """P05."""
    found = go([Step(key="it", kind=kind, wait=IN_AN_HOUR), message()])
    assert found == Decision(action=WaitUntil(step_key="it", at=NOW + HOUR))


@pytest.mark.parametrize("kind", [kind for kind in StepKind if kind is not StepKind.MESSAGE])
def test_every_kind_waits_for_an_event(kind: StepKind) -> None:
    """P05."""
    found = go([Step(key="it", kind=kind, wait=UNTIL), message()])
    assert found.action == WaitUntil(step_key="it", at=NOW + 48 * HOUR, event="pledged")


@pytest.mark.parametrize("waited", ["pledged", "time"])
def test_after_a_wait_the_next_step_counts_from_its_end(waited: str) -> None:
    """P05: and what ended the wait ends no second one."""
    steps = [step("wait", wait=UNTIL), message(wait=IN_AN_HOUR)]
    found = go(steps, "it", anchor=NOW - 5 * HOUR, waited=waited)
    assert found == Decision(action=Send(step_key="hello", due_at=NOW + HOUR))


@pytest.mark.parametrize(
    ("anchor", "waited"),
    [pytest.param(NOW - HOUR, "", id="due now"), pytest.param(NOW - 3 * HOUR, "time", id="late")],
)
def test_after_any_kind_the_next_step_counts_from_its_end(anchor: datetime, waited: str) -> None:
    """P05: a tag put on after an hour is followed an hour later, not at once."""
    steps = [step("tag", wait=IN_AN_HOUR, add="vip"), message(wait=IN_AN_HOUR)]
    found = go(steps, "it", anchor=anchor, waited=waited)
    assert found.action == Send(step_key="hello", due_at=NOW + HOUR)


@pytest.mark.parametrize(
    ("had", "change", "to"),
    [({}, {"add": "vip"}, "yes"), ({"vip"}, {"remove": "vip"}, "no")],
    ids=["put on", "taken off"],
)
def test_a_branch_sees_the_tag_of_the_step_before(
    had: set[str], change: Mapping[str, str], to: str
) -> None:
    """P05: within one walk too."""
    is_vip = Condition(op="is", name="tag", value="vip")
    branch = step("branch", "fork", when=is_vip, **{"then": "yes", "else": "no"})
    steps = [step("tag", **change), branch, message("no"), message("yes")]
    found = go(steps, facts=ConditionFacts(tags=frozenset(had)))
    assert found.action == Send(step_key=to, due_at=NOW)


def test_what_ended_one_wait_does_not_end_the_next() -> None:
    found = go([step("wait", "a", wait=UNTIL), step("wait", "b", wait=UNTIL)], waited="pledged")
    assert found.action == WaitUntil(step_key="b", at=NOW + 48 * HOUR, event="pledged")


@pytest.mark.parametrize(("facts", "to"), [(REPLIED, "yes"), (ConditionFacts(), "no")])
def test_a_branch_goes_where_its_condition_says(facts: ConditionFacts, to: str) -> None:
    """P05."""
    branch = step(
        "branch", when=Condition(op="is", name="replied"), **{"then": "yes", "else": "no"}
    )
    found = go([branch, message("no"), message("yes")], facts=facts)
    assert found == Decision(
        action=Send(step_key=to, due_at=NOW),
        trail=(
            Trace(
                step_key="it", code=Reason.BRANCH_TAKEN, inputs={"to": to, "replied": facts.replied}
            ),
        ),
    )


@pytest.mark.parametrize(
    ("bucket", "to"),
    [(0.0, "a"), (24.999, "a"), (25.0, "b"), (74.999, "b"), (75.0, "c"), (99.999_999, "c")],
)
def test_a_split_takes_the_arm_of_the_draw(bucket: float, to: str) -> None:
    """P05: shares of 1 : 2 : 1."""
    split = step("split", arms={"a": 1, "b": 2, "c": 1})
    found = go([split, message("a"), message("b"), message("c")], bucket=bucket)
    assert found.action == Send(step_key=to, due_at=NOW)
    assert found.trail == (Trace(step_key="it", code=Reason.ARM_TAKEN, inputs={"to": to}),)


@given(
    weights=st.lists(st.integers(1, 1_000_000), min_size=1, max_size=60),
    bucket=st.floats(0, 100, exclude_max=True),
)
def test_every_draw_has_an_arm(weights: list[int], bucket: float) -> None:
    """Rounding leaves nobody without one."""
    arms = {f"a{n}": weight for n, weight in enumerate(weights)}
    found = go([step("split", arms=arms), *map(message, arms)], bucket=bucket)
    assert isinstance(found.action, Send)
    assert found.action.step_key in arms


def test_a_split_is_as_fair_as_its_weights() -> None:
    steps = [step("split", arms={"a": 3, "b": 1}), message("a"), message("b")]
    actions = [go(steps, bucket=n / 10).action for n in range(1000)]
    assert Counter(a.step_key for a in actions if isinstance(a, Send)) == {"a": 750, "b": 250}


@pytest.mark.parametrize(
    ("options", "effects"),
    [
        pytest.param({"add": "vip"}, (AddTag(name="vip"),), id="add"),
        pytest.param({"remove": "vip"}, (RemoveTag(name="vip"),), id="remove"),
        pytest.param(
            {"add": "a", "remove": "b"}, (AddTag(name="a"), RemoveTag(name="b")), id="both"
        ),
    ],
)
def test_a_tag_is_put_on_or_taken_off(options: dict[str, str], effects: tuple[Any, ...]) -> None:
    """P05: and the journey goes on at once."""
    assert go([step("tag", **options), message()]) == Decision(
        action=Send(step_key="hello", due_at=NOW),
        trail=(Trace(step_key="it", code=Reason.TAGGED, inputs=options),),
        effects=effects,
    )


@pytest.mark.parametrize(
    ("options", "effect"),
    [({"to": "teacher", "note": "call"}, HandOver(to="teacher", note="call")), ({}, HandOver())],
)
def test_a_person_is_asked(options: dict[str, str], effect: HandOver) -> None:
    """P05."""
    assert go([step("handover", **options)]) == Decision(
        action=FINISH,
        trail=(Trace(step_key="it", code=Reason.HANDED_OVER, inputs={"to": effect.to}),),
        effects=(effect,),
    )


def test_an_exit_ends_the_journey_there() -> None:
    """P05: with what was done on the way."""
    found = go([step("tag", "t", add="vip"), step("exit", reason="enough"), message()])
    assert found.action == End(event=Event.EXIT, reason=Reason.SEQUENCE_EXIT)
    assert found.effects == (AddTag(name="vip"),)
    assert found.trail[-1] == Trace(
        step_key="it", code=Reason.SEQUENCE_EXIT, inputs={"said": "enough"}
    )


# --- the budget -----------------------------------------------------------------------------------


def test_a_circle_ends_at_the_budget() -> None:
    """P32: a run over its budget stops with its own code."""
    circle = step("branch", when=PLEDGED, **{"then": "it", "else": "it"})
    found = go([circle])
    assert found.action == End(event=Event.EXIT, reason=Reason.STEP_BUDGET)
    assert len(found.trail) == MAX_STEPS + 1
    assert found.trail[-1] == Trace(
        step_key="it", code=Reason.STEP_BUDGET, inputs={"steps": MAX_STEPS}
    )


def test_the_last_step_of_the_budget_is_still_taken() -> None:
    """P32: the steps of earlier decisions count."""
    assert isinstance(go([message()], steps_taken=MAX_STEPS - 1).action, Send)
    spent = go([message()], steps_taken=MAX_STEPS)
    assert spent.action == End(event=Event.EXIT, reason=Reason.STEP_BUDGET)


def test_a_finished_journey_is_not_over_its_budget() -> None:
    assert go([], steps_taken=MAX_STEPS).action == FINISH
