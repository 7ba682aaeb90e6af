"""Sent beside held out: the interval of the difference, and when nothing may be said of it."""

from __future__ import annotations

import pytest

from nurture.domain.effect import FEWEST, Case, Effect, Group, Verdict, effect_of, newcombe


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [
        # Newcombe 1998, table II, method 10.
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_the_interval_is_that_of_the_paper(
    one: tuple[int, int], other: tuple[int, int], low: float, high: float
) -> None:
    groups = [Group(came=came, known=known) for came, known in (one, other)]

    assert newcombe(*groups) == pytest.approx((low, high), abs=0.0001)


def test_nothing_is_said_of_few_and_how_many_more_are_needed_is() -> None:
    """P20: 100 of 100 against 0 of 49 is no verdict."""
    found = Effect(sent=Group(known=100, came=100), held=Group(known=FEWEST - 1, came=0))

    assert found.verdict is Verdict.TOO_FEW
    assert (found.sent.lacking, found.held.lacking) == (0, 1)


@pytest.mark.parametrize(
    ("sent", "held", "verdict"),
    [(80, 50, Verdict.MORE), (50, 80, Verdict.FEWER), (55, 50, Verdict.OPEN)],
)
def test_a_difference_counts_where_its_interval_leaves_nought_out(
    sent: int, held: int, verdict: Verdict
) -> None:
    found = Effect(sent=Group(known=100, came=sent), held=Group(known=100, came=held))

    assert found.verdict is verdict
    assert found.difference == pytest.approx((sent - held) / 100)


def test_each_learner_is_counted_in_their_group() -> None:
    """N20: minutes are those of everybody known; who missed the class has none."""
    found = effect_of(
        [
            Case(held_out=False, came=True, minutes=50),
            Case(held_out=False, came=False),
            Case(held_out=False, came=None),
            Case(held_out=True, came=True, minutes=30),
        ]
    )

    assert found.sent == Group(known=2, came=1, minutes=50, ahead=1)
    assert found.held == Group(known=1, came=1, minutes=30)
    assert (found.sent.mean_minutes, found.held.mean_minutes) == (25, 30)


def test_where_nobody_is_known_nothing_is_divided() -> None:
    nobody = Group(known=0, came=0)

    assert (nobody.share, nobody.mean_minutes, nobody.interval) == (0.0, 0.0, (0.0, 1.0))
    assert newcombe(nobody, nobody) == (-1.0, 1.0)
