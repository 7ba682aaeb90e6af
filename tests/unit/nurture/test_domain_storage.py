"""Waits, conditions and options survive being stored as JSON."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.sequence import Condition, Wait, WaitKind
from nurture.domain.storage import (
    condition_from_json,
    condition_to_json,
    options_from_json,
    options_to_json,
    wait_from_json,
    wait_to_json,
)

TWO_HOURS = timedelta(hours=2)
PLEDGED = Condition(op="is", name="pledged_next")
NORWEGIAN = Condition(op="is", name="language", value="no")
DURATIONS = st.integers(0, 100_000).map(lambda minutes: timedelta(minutes=minutes))
WAITS = st.one_of(
    st.builds(Wait, duration=DURATIONS),
    st.builds(
        Wait,
        kind=st.just(WaitKind.AT),
        at=st.times().map(lambda at: at.replace(second=0, microsecond=0)),
        plus_days=st.integers(0, 366),
        days=st.integers(1, 127),
    ),
    st.builds(
        Wait,
        kind=st.just(WaitKind.BEFORE_NEXT_SESSION),
        duration=DURATIONS,
        if_past=st.sampled_from(["skip", "send"]),
    ),
    st.builds(
        Wait, kind=st.just(WaitKind.UNTIL_EVENT), duration=DURATIONS, event=st.text(min_size=1)
    ),
)
LEAVES = st.builds(Condition, op=st.just("is"), name=st.text(min_size=1), value=st.text())
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Condition, op=st.sampled_from(["all", "any"]),
        parts=st.lists(inner, min_size=1, max_size=3).map(tuple),
    ),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.parametrize(
    ("wait", "stored"),
    [
        pytest.param(Wait(), {"kind": "after"}, id="nothing"),
        pytest.param(Wait(duration=TWO_HOURS), {"kind": "after", "seconds": 7200}, id="after"),
        pytest.param(
            Wait(kind=WaitKind.AT, at=time(9), plus_days=1),
            {"kind": "at", "at": "09:00", "plus_days": 1}, id="at",
        ),
        pytest.param(
            Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=TWO_HOURS, if_past="send"),
            {"kind": "before_next_session", "seconds": 7200, "if_past": "send"}, id="before",
        ),
        pytest.param(
            Wait(kind=WaitKind.UNTIL_EVENT, duration=TWO_HOURS, event="pledged"),
            {"kind": "until_event", "seconds": 7200, "event": "pledged"}, id="until",
        ),
    ],
)  # fmt: skip
def test_what_is_stored_of_a_wait(wait: Wait, stored: dict[str, Any]) -> None:
    assert wait_to_json(wait) == stored
    assert wait_from_json(stored) == wait


def test_an_empty_mapping_is_no_wait() -> None:
    assert wait_from_json({}) == Wait()


@given(wait=WAITS)
def test_every_wait_survives(wait: Wait) -> None:
    assert wait_from_json(json.loads(json.dumps(wait_to_json(wait)))) == wait


@pytest.mark.parametrize(
    ("condition", "stored"),
    [
        pytest.param(PLEDGED, {"op": "is", "name": "pledged_next"}, id="name"),
        pytest.param(NORWEGIAN, {"op": "is", "name": "language", "value": "no"}, id="value"),
        pytest.param(
            Condition(op="not", parts=(PLEDGED,)),
            {"op": "not", "parts": [{"op": "is", "name": "pledged_next"}]}, id="not",
        ),
    ],
)  # fmt: skip
def test_what_is_stored_of_a_condition(condition: Condition, stored: dict[str, Any]) -> None:
    assert condition_to_json(condition) == stored
    assert condition_from_json(stored) == condition


@given(condition=CONDITIONS)
def test_every_condition_survives(condition: Condition) -> None:
    assert condition_from_json(json.loads(json.dumps(condition_to_json(condition)))) == condition


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="none"),
        pytest.param({"when": NORWEGIAN, "then": "a", "else": "b"}, id="branch"),
        pytest.param({"arms": {"a": 1, "b": 2}}, id="split"),
        pytest.param({"add": "vip"}, id="tag"),
        pytest.param({"to": "teacher", "note": "call"}, id="handover"),
        pytest.param({"reason": "done"}, id="exit"),
    ],
)
def test_the_options_of_every_kind_survive(options: dict[str, Any]) -> None:
    assert options_from_json(json.loads(json.dumps(options_to_json(options)))) == options
