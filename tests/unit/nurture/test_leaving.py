"""How sure a block rate is, and when it holds a sequence (N16, P17)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.leaving import FEWEST, MOST, Leaving, ranked, wilson, worst


def step(key: str = "hello", *, messages: int, blocked: int = 0, stopped: int = 0) -> Leaving:
    return Leaving(step_key=key, messages=messages, blocked=blocked, stopped=stopped)


@pytest.mark.parametrize(
    ("hits", "of", "interval"),
    [
        (0, 0, (0.0, 1.0)),
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (5, 50, (0.0435, 0.2136)),
        (1, 2, (0.0945, 0.9055)),
    ],
)
def test_the_interval(hits: int, of: int, interval: tuple[float, float]) -> None:
    """Figures of the published formula, as any table has them."""
    assert wilson(hits, of) == pytest.approx(interval, abs=1e-4)


@given(of=st.integers(1, 100_000), data=st.data())
def test_the_interval_holds_the_share_and_stays_within_0_and_1(
    of: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of + 1e-12
    assert hits / of - 1e-12 <= high <= 1


def test_what_is_sure_stands_first() -> None:
    rows = [
        step("quiet", messages=500), step("rare", messages=2, blocked=1),
        step("bad", messages=90, blocked=20, stopped=10), step("fresh", messages=0),
    ]  # fmt: skip
    assert [row.step_key for row in ranked(rows)] == ["bad", "rare", "quiet", "fresh"]
    assert step(messages=0).share == 0


@pytest.mark.parametrize(
    ("row", "holds"),
    [
        (step(messages=4, blocked=4), False),  # too few to judge
        (step(messages=20, blocked=3, stopped=2), True),
        (step(messages=50, blocked=5), False),  # 10 %, but it may be 4
        (step(messages=50, stopped=6), True),
        (step(messages=1000, blocked=40), False),
    ],
)
def test_too_many_is_a_floor_and_a_share_that_is_sure(row: Leaving, holds: bool) -> None:
    assert (FEWEST, MOST) == (5, 0.05)
    assert row.is_too_many is holds
    assert worst([step("fine", messages=100), row]) == (row if holds else None)
