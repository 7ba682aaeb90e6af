"""What each of the launch plan's figures counts (S14, S18)."""

from __future__ import annotations

from datetime import date

import pytest

from nurture.domain import figures
from nurture.domain.figures import Day, Share, Target

WEEK = {
    "sent": 90, "unknown": 1, "failed": 2, "refused": 3, "dead": 1, "expired": 3,
    "cancelled": 40, "skipped": 7, "heard": 45,
    "started": 50, "corrected": 4, "completed": 20, "exit_fact": 5, "sequence_exit": 1,
    "opted_out": 3, "unreachable": 1, "disputed": 2, "erased": 1, "version_replaced": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("measure", "hits", "of"),
    [
        (figures.SUCCESS, 90, 100),  # without what was withdrawn or skipped
        (figures.ERRORS, 4, 97),  # without what learners refused
        (figures.COMPLETION, 26, 30),
        (figures.ACCURACY, 46, 50),
        (figures.ENGAGEMENT, 45, 90),
    ],
)
def test_what_a_figure_counts(measure: figures.Measure, hits: int, of: int) -> None:
    assert measure.share(WEEK) == Share(hits, of)
    assert measure.share({}) == Share(0, 0)


def test_more_corrections_than_journeys_are_no_negative_share() -> None:
    assert figures.activation_accuracy({"started": 1, "corrected": 3}) == Share(0, 1)


@pytest.mark.parametrize(
    ("target", "share", "verdict"),
    [
        (Target(above=0.95), Share(96, 100), "pass"),
        (Target(above=0.95), Share(95, 100), "fail"),  # more than, not as much as
        (Target(below=0.01), Share(0, 100), "pass"),
        (Target(below=0.01), Share(1, 100), "fail"),
        (Target(above=0.95), Share(19, 19), "not_yet"),
        (Target(above=0.95), Share(0, 0), "not_yet"),
    ],
)
def test_a_target_is_passed_only_beyond_its_bound(
    target: Target, share: Share, verdict: str
) -> None:
    assert target.verdict(share) == verdict


def test_the_plans_targets_in_words() -> None:
    said = {measure.key: str(measure.target or "") for measure in figures.MEASURES}

    assert said == {
        "success": "> 95 %", "accuracy": "> 90 %", "completion": "", "engagement": "",
        "errors": "< 1 %",
    }  # fmt: skip
    assert str(figures.UPTIME) == "> 99.5 %"


def test_days_of_nothing_are_there_and_other_days_are_not() -> None:
    monday = date(2026, 3, 2)
    rows = [(monday, "sent", 3), (monday, "sent", 2), (date(2026, 2, 1), "sent", 9)]

    days = figures.calendar(rows, until=date(2026, 3, 3), days=3)

    assert [(day.day.day, dict(day.counts)) for day in days] == [
        (1, {}), (2, {"sent": 5}), (3, {}),
    ]  # fmt: skip


def test_a_trend_leaves_out_days_without_a_share() -> None:
    days = [
        Day(date(2026, 3, 1), {"sent": 1, "failed": 2}), Day(date(2026, 3, 2)),
        Day(date(2026, 3, 3), {"sent": 4}),
    ]  # fmt: skip

    assert figures.trend(figures.SUCCESS, days) == [33.3, 100.0]
    assert figures.total(days) == {"sent": 5, "failed": 2}


def test_what_a_learner_refused_is_told_from_what_failed() -> None:
    assert figures.name_of("failed", "chat_blocked") == "refused"
    assert figures.name_of("failed", "content_refused") == "failed"
    assert figures.name_of("sent", "") == "sent"
