"""Backtests that staff ask for: bounded, claimed once, and nothing personal in what is kept."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from delivery.models import Delivery
from nurture import tasks
from nurture.models import BacktestRun, Sequence
from nurture.services import backtests, sequences
from nurture.services.simulation import NotSimulatedError
from tests.factories import nurture as make

pytestmark = pytest.mark.django_db
SINCE, UNTIL = make.CLASS_STARTS - timedelta(days=1), make.CLASS_STARTS + timedelta(days=7)


def ask(
    sequence: Sequence, *, version: int = 1, against: int | None = None, until: datetime = UNTIL
) -> tuple[BacktestRun, bool]:
    return backtests.ask(
        sequence=sequence, version=version, against=against, since=SINCE, until=until, by="ann",
        now=make.NOW,
    )  # fmt: skip


def test_two_versions_are_run_and_their_difference_is_kept() -> None:
    """N01: learners by number, messages without words; nothing is sent."""
    sequence = make.make_sequence()
    one, two = make.make_contact(), make.make_contact(name="Two")
    make.make_fact(contact=one)
    make.make_fact("late", contact=two)
    sequences.import_sequence(
        source=make.PLAIN.replace("{fact: missed}", "{fact: late}"), now=make.CLASS_STARTS
    )

    row, at_once = ask(sequence, version=2, against=1)
    assert at_once
    assert backtests.run_waiting(now=make.NOW, only=row.pk) == 1
    row.refresh_from_db()

    assert row.error == ""
    assert row.finished_at is not None
    assert row.result["difference"] == {
        "gained": [two.learner_id], "lost": [one.learner_id], "moved": [],
    }  # fmt: skip
    mine = row.result["versions"]["2"]
    assert mine["totals"]["messages"] == {"sent": 1}
    assert mine["learners"][0]["messages"] == [["hello", "Tue 03 Mar 2026 21:00 UTC", "sent", ""]]
    assert row.result["checksums"]["2"] == backtests.checksum_of(sequence, 2)
    for word in (one.learner.email, "Hi ", "Two"):
        assert word not in json.dumps(row.result)
    assert not Delivery.objects.exists()


def test_a_worker_runs_what_waits_once() -> None:
    row, _ = ask(make.make_sequence())

    tasks.run_backtests()
    tasks.run_backtests()

    row.refresh_from_db()
    assert row.finished_at is not None
    assert backtests.run_waiting(now=make.NOW) == 0


def test_many_outcomes_go_to_a_worker_and_too_many_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """N01: with a sentence that says what to do."""
    sequence = make.make_sequence()
    for _ in range(3):
        make.make_fact()
    monkeypatch.setattr(backtests, "AT_ONCE", 2)
    assert ask(sequence)[1] is False
    monkeypatch.setattr(backtests, "MOST", 5)
    sequences.import_sequence(source=make.PLAIN + make.WINDOW, now=make.CLASS_STARTS)
    with pytest.raises(backtests.TooLargeError, match=r"hold 6 outcomes .* may ask for 5"):
        ask(sequence, version=2, against=1)


@pytest.mark.parametrize(("version", "until", "said"), [
    (7, UNTIL, "no version 7"), (1, SINCE, "ends before it begins"),
])  # fmt: skip
def test_what_cannot_be_run_is_said(version: int, until: datetime, said: str) -> None:
    with pytest.raises(NotSimulatedError, match=said):
        ask(make.make_sequence(), version=version, until=until)
    assert not BacktestRun.objects.exists()


def test_a_draft_that_is_gone_by_then_is_told() -> None:
    sequence = make.make_sequence()
    draft = sequences.import_sequence(source=make.PLAIN + make.WINDOW, now=make.NOW).version
    row, _ = ask(sequence, version=2)
    Sequence.objects.update(draft_version=None)
    draft.delete()

    backtests.run_waiting(now=make.NOW)

    row.refresh_from_db()
    assert row.error == "missed-class has no version 2."


def test_only_the_newest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backtests, "KEPT", 2)
    sequence = make.make_sequence()
    rows = [ask(sequence)[0].pk for _ in range(3)]
    assert sorted(BacktestRun.objects.values_list("pk", flat=True)) == rows[1:]
