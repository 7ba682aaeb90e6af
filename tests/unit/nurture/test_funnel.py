"""Counted rows put together: steps, reasons, what is left of those who came."""

from __future__ import annotations

from datetime import timedelta

from nurture.domain.funnel import At, Ended, State, by_size, funnel, share

HOUR = timedelta(hours=1)


def at(state: State, journeys: int, why: str = "", wait: timedelta | None = None) -> At:
    return At(step_key="hello", state=state, why=why, journeys=journeys, median_wait=wait)


def test_a_step_is_the_sum_of_its_states() -> None:
    """P25: every journey that came to a step is in one state there."""
    found = funnel(
        states=[
            at(State.WAITING, 4), at(State.SENT, 10, wait=HOUR), at(State.UNKNOWN, 1),
            at(State.FAILED, 2, "chat_gone"), at(State.SKIPPED, 2, "outside_hours"),
            at(State.SKIPPED, 1, "expired"), at(State.PASSED, 0),
        ],
        ends=[
            Ended(step_key="hello", status="exited", reason="exit_fact", journeys=5),
            Ended(step_key="", status="exited", reason="opted_out", journeys=1),
            Ended(step_key="hello", status="active", reason="", journeys=4),
        ],
    )  # fmt: skip
    step = found.of("hello")

    assert (step.reached, step.left, step.drop_off) == (20, 5, 0.25)
    assert step.median_wait == HOUR
    assert by_size(step.skipped_for) == [("outside_hours", 2), ("expired", 1)]
    assert step.failed_for == {"chat_gone": 2}
    assert found.entered == 10
    assert by_size(found.left_for) == [("exit_fact", 5), ("opted_out", 1)]
    assert found.left_at_once == {"opted_out": 1}


def test_a_step_that_nobody_reached_has_no_drop_off() -> None:
    found = funnel(states=[], ends=[])

    assert found.of("hello").drop_off is None
    assert found.entered == 0


def test_a_share_of_nothing_is_nothing() -> None:
    assert (share(1, 4), share(0, 0)) == (0.25, 0.0)
