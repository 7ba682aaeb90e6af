"""The figures of a gold set, and what they show (N04): undecided is wrong, false absences apart."""

from __future__ import annotations

import pytest

from attendance.domain.evaluation import Judged, Share, Verdict, evaluate, wilson
from attendance.domain.kinds import OutcomeKind

A, L, P, M = (
    OutcomeKind.ATTENDED, OutcomeKind.LATE, OutcomeKind.PENDING, OutcomeKind.MISSED,
)  # fmt: skip


def test_91_of_100_has_a_lower_end_of_83_8_percent() -> None:
    assert round(wilson(91, 100)[0], 3) == 0.838


@pytest.mark.parametrize(
    ("hits", "of"), [(59, 60), (96, 100), (143, 150), (189, 200), (281, 300), (372, 400)]
)
def test_the_fewest_hits_that_show_more_than_90_percent(hits: int, of: int) -> None:
    assert wilson(hits, of)[0] > 0.9
    assert wilson(hits - 1, of)[0] <= 0.9


def test_nothing_of_nothing_says_nothing() -> None:
    nothing = Share("x", 0, 0, at_least=0.9)

    assert (nothing.value, nothing.interval, nothing.verdict) == (None, (0, 1), "not_enough")


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        (Share("x", 1, 2), None),
        (Share("x", 1, 100, at_most=0.01), Verdict.PASS),
        (Share("x", 2, 100, at_most=0.01), Verdict.FAIL),
        (Share("x", 95, 100, at_least=0.95), Verdict.PASS),
        (Share("x", 94, 100, at_least=0.95), Verdict.FAIL),
        (Share("x", 189, 200, above=0.9), Verdict.PASS),
        (Share("x", 91, 100, above=0.9), Verdict.NOT_ENOUGH),
        (Share("x", 90, 100, above=0.9), Verdict.FAIL),
    ],
)
def test_a_figure_against_its_target(share: Share, verdict: Verdict | None) -> None:
    assert share.verdict == verdict


def test_what_is_undecided_is_wrong_and_false_absences_are_counted_apart() -> None:
    found = evaluate(
        [
            Judged(A, A), Judged(A, M), Judged(A, M, effective=False), Judged(L, A),
            Judged(M, M), Judged(M, P), Judged(M, OutcomeKind.UNKNOWN),
        ],
        right_links=9, links=10, wanted_links=12,
    )  # fmt: skip

    def figure(name: str) -> tuple[int, int]:
        return found.share(name).hits, found.share(name).of

    assert figure("strict accuracy") == (2, 7)
    assert figure("coverage") == (4, 7)
    assert figure("accuracy of what is decided") == (2, 4)
    assert figure("false absences") == (1, 4)
    assert figure("precision of absences") == (1, 2)
    assert figure("identity precision") == (9, 10)
    assert figure("identity recall") == (9, 12)
    assert (found.hard_cases.hits, found.hard_cases.of) == (4, 7)
    assert found.confusion[A, M] == 2
