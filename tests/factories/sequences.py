"""Generated sequences: every kind of step, of wait and of condition; jumps go forward."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
from typing import Any

from hypothesis import strategies as st

from nurture.domain.sequence import (
    EVERY_DAY,
    Again,
    Condition,
    Entry,
    EntryKey,
    Fact,
    SequenceSpec,
    Step,
    StepKind,
    Trigger,
    Wait,
    WaitKind,
    Window,
)
from tests.wall_clock import DAY, HOUR, MINUTE, ZONES, changes

EVENTS = ("attended", "pledged", "replied")
LENGTHS = tuple(n * HOUR for n in (0, 0, 1, 2, 5, 24, 48))
SPANS = (0 * HOUR, HOUR, 2 * HOUR, DAY, 3 * DAY)

times = st.integers(0, 24 * 60 - 1).map(lambda minute: time(minute // 60, minute % 60))
quiet_hours = st.none() | st.tuples(times, times)
windows = st.none() | st.builds(Window, opens=times, closes=times, days=st.integers(1, EVERY_DAY))
zones = st.sampled_from(ZONES)


def near_a_change(zone: str) -> st.SearchStrategy[datetime]:
    """A minute within three days of a change of the clocks of 2026."""
    minutes = st.integers(-3 * 24 * 60, 3 * 24 * 60)
    return st.builds(lambda at, n: at + n * MINUTE, st.sampled_from(changes(zone)), minutes)


waits = st.one_of(
    st.builds(Wait, duration=st.sampled_from(LENGTHS)),
    st.builds(Wait, kind=st.just(WaitKind.AT), at=times, plus_days=st.integers(0, 2)),
    st.builds(
        Wait, kind=st.just(WaitKind.BEFORE_NEXT_SESSION), duration=st.sampled_from(SPANS),
        if_past=st.sampled_from(("skip", "send")),
    ),
    st.builds(
        Wait, kind=st.just(WaitKind.UNTIL_EVENT), event=st.sampled_from(EVENTS),
        duration=st.sampled_from(SPANS),
    ),
)  # fmt: skip
_leaves = st.sampled_from(
    [Condition(op="is", name=n) for n in ("pledged_next", "has_next_session", "attended")]
    + [Condition(op="is", name="tag", value="vip")]
)
conditions = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(lambda part: Condition(op="not", parts=(part,)), inner),
        st.builds(
            lambda op, *parts: Condition(op=op, parts=parts),
            st.sampled_from(("all", "any")), inner, inner,
        ),
    ),
    max_leaves=3,
)  # fmt: skip

_ERRANDS: dict[StepKind, st.SearchStrategy[dict[str, Any]]] = {
    StepKind.MESSAGE: st.just({}),
    StepKind.WAIT: st.just({}),
    StepKind.TAG: st.sampled_from([{"add": "vip"}, {"remove": "vip"}]),
    StepKind.HANDOVER: st.just({"to": "teacher"}),
    StepKind.EXIT: st.just({"reason": "enough"}),
}
#: Messages come often, the end seldom.
_KINDS = (*[StepKind.MESSAGE] * 6, *StepKind)


_seldom = st.none() | st.none() | st.none() | conditions


@st.composite
def steps(draw: Callable[..., Any]) -> tuple[Step, ...]:
    """A few steps in order."""
    keys = [f"s{n}" for n in range(draw(st.sampled_from((4, 5, 6, 3, 2, 1))))]
    return tuple(draw(_step(key, keys[n + 1 :])) for n, key in enumerate(keys))


@st.composite
def _step(draw: Callable[..., Any], key: str, following: list[str]) -> Step:
    kinds = [kind for kind in _KINDS if following or kind in _ERRANDS]
    kind = draw(st.sampled_from(kinds))
    says = kind is StepKind.MESSAGE
    return Step(
        key=key,
        kind=kind,
        wait=draw(waits),
        when=None if kind is StepKind.BRANCH else draw(_seldom),
        text=f"This is {key}." if says else "",
        expires=draw(st.none() | st.sampled_from((MINUTE, 2 * HOUR, DAY))) if says else None,
        enabled=draw(st.sampled_from((*[True] * 9, False))),
        options=draw(_options(kind, following)),
    )


def _options(kind: StepKind, following: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    to = st.sampled_from(following or [""])
    if kind is StepKind.BRANCH:
        return st.fixed_dictionaries({"when": conditions, "then": to, "else": to})
    if kind is StepKind.SPLIT:
        arms = st.dictionaries(to, st.integers(1, 9), min_size=1, max_size=3)
        return st.fixed_dictionaries({"arms": arms})
    return _ERRANDS[kind]


entries = st.builds(
    Entry,
    key=st.sampled_from((EntryKey.SESSION, EntryKey.SESSION, EntryKey.LEARNER)),
    again=st.sampled_from((Again.EVERY_KEY, Again.EVERY_KEY, Again.AFTER, Again.NEVER)),
    again_after=st.sampled_from((HOUR, DAY)),
    open=st.integers(1, 2),
).map(lambda entry: entry if entry.again is Again.AFTER else _without_duration(entry))


def _without_duration(entry: Entry) -> Entry:
    return Entry(key=entry.key, again=entry.again, open=entry.open)


def specs() -> st.SearchStrategy[SequenceSpec]:
    """A whole sequence that a missed class starts."""
    return st.builds(
        SequenceSpec, slug=st.just("made-up"), name=st.just("Made up"), entry=entries,
        window=windows, triggers=st.just((Trigger(fact=Fact.MISSED),)), steps=steps(),
    )  # fmt: skip
