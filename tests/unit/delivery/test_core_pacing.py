"""Slots: exact, in order, one chat at a time (P16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.domain import pacing
from delivery.domain.pacing import LOOK_EARLIER, Candidate, plan, room

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PAUSE = timedelta(seconds=1.1)
LONG_AGO = NOON - timedelta(days=1)


def due(
    number: int,
    *,
    chat: int | None = None,
    free: datetime = LONG_AGO,
    busy: bool = False,
    behind: timedelta | None = None,
) -> Candidate:
    """A candidate; by default each has a free chat of its own."""
    return Candidate(
        delivery_id=number,
        chat_id=number if chat is None else chat,
        chat_free_at=free,
        chat_busy=busy,
        behind=behind,
        spacing=PAUSE,
    )


def test_slots_follow_each_other_at_the_rate() -> None:
    made = plan([due(1), due(2), due(3)], most=60, now=NOON, base=NOON, rate=25)

    assert [slot.at - NOON for slot in made.slots] == [
        timedelta(milliseconds=40 * n) for n in range(3)
    ]
    assert made.next_slot_at == NOON + timedelta(milliseconds=120)
    assert made.put_off == ()


def test_a_second_message_of_a_chat_waits_and_takes_no_slot_from_others() -> None:
    made = plan([due(1, chat=7), due(2, chat=7), due(3)], most=60, now=NOON, base=NOON, rate=25)

    assert [slot.delivery_id for slot in made.slots] == [1, 3]
    assert made.put_off == (pacing.PutOff(delivery_id=2, wait=PAUSE - LOOK_EARLIER),)


def test_a_chat_that_is_not_free_yet_is_put_off_until_it_is() -> None:
    made = plan([due(1, free=NOON + timedelta(seconds=5))], most=60, now=NOON, base=NOON, rate=25)

    assert made.slots == ()
    assert made.put_off[0].wait == timedelta(seconds=5) - LOOK_EARLIER
    assert made.next_slot_at == NOON


def test_a_chat_does_not_wait_for_a_clock_put_back_to_catch_up() -> None:
    hour = NOON + timedelta(hours=1)
    made = plan([due(1, free=hour), due(2, free=hour, busy=True)],
                most=60, now=NOON, base=NOON, rate=25)  # fmt: skip

    assert [slot.delivery_id for slot in made.slots] == [1]
    assert [off.wait for off in made.put_off] == [PAUSE - LOOK_EARLIER]


def test_a_chat_with_one_in_flight_waits_at_least_its_spacing() -> None:
    made = plan([due(1, busy=True)], most=60, now=NOON, base=NOON, rate=25)

    assert made.put_off[0].wait == PAUSE - LOOK_EARLIER


def test_a_chat_must_be_free_now_though_its_slot_comes_later() -> None:
    """Else it would overtake what was put off until the chat is free."""
    soon = NOON + timedelta(milliseconds=300)
    made = plan([due(1, free=soon)], most=60, now=NOON, base=NOON + PAUSE, rate=25)

    assert made.slots == ()
    assert made.put_off[0].wait == timedelta(milliseconds=200)


def test_nobody_overtakes_an_earlier_one_of_its_chat_even_if_it_is_seen_first() -> None:
    """The earlier one was put off, so it stands behind in the queue; it may be claimed now."""
    later, earlier = due(2, chat=7, behind=timedelta(seconds=-3)), due(1, chat=7)
    made = plan([later, earlier, due(3)], most=60, now=NOON, base=NOON, rate=25)

    assert [slot.delivery_id for slot in made.slots] == [1, 3]
    assert made.put_off == (pacing.PutOff(delivery_id=2, wait=PAUSE - LOOK_EARLIER),)


def test_those_behind_queue_up_one_spacing_apart() -> None:
    ahead = timedelta(seconds=10)
    made = plan(
        [due(n, chat=7, behind=ahead) for n in (1, 2, 3)], most=60, now=NOON, base=NOON, rate=25
    )

    assert made.slots == ()
    waits = [off.wait + LOOK_EARLIER for off in made.put_off]
    assert waits == [ahead + PAUSE, ahead + 2 * PAUSE, ahead + 3 * PAUSE]


def test_what_finds_no_room_is_left_as_it_is() -> None:
    made = plan([due(1), due(2)], most=1, now=NOON, base=NOON, rate=25)

    assert [slot.delivery_id for slot in made.slots] == [1]
    assert made.put_off == ()


@pytest.mark.parametrize(
    ("out", "rate", "expected"),
    [
        pytest.param(timedelta(0), 25, 50, id="nothing is out: two seconds of work"),
        pytest.param(timedelta(0), 100, 60, id="never more than sixty"),
        pytest.param(timedelta(seconds=0.5), 10, 15, id="what is out counts"),
        pytest.param(timedelta(seconds=1.5), 25, 0, id="enough is out"),
        pytest.param(timedelta(seconds=-9), 0.1, 1, id="a slow bot still gets one"),
    ],
)
def test_room(out: timedelta, rate: float, expected: int) -> None:
    assert room(now=NOON, next_slot_at=NOON + out, rate=rate) == expected


@pytest.mark.parametrize(("rate", "expected"), [(25, 0.1), (28, 0.03), (999, 0.03), (1000, None)])
def test_allowed_lateness(rate: float, expected: float | None) -> None:
    allowed = pacing.allowed_lateness(rate)

    assert (allowed.total_seconds() if allowed else None) == expected


@given(
    chats=st.lists(st.integers(0, 5), max_size=40),
    rate=st.floats(0.5, 900),
    most=st.integers(1, 60),
)
def test_any_plan_paces_exactly(chats: list[int], rate: float, most: int) -> None:
    made = plan(
        [due(n, chat=chat) for n, chat in enumerate(chats)],
        most=most,
        now=NOON,
        base=NOON,
        rate=rate,
    )

    gaps = [after.at - before.at for before, after in zip(made.slots, made.slots[1:], strict=False)]
    assert all(gap >= timedelta(seconds=1 / rate) - timedelta(microseconds=1) for gap in gaps)
    assert len({slot.chat_id for slot in made.slots}) == len(made.slots) <= most
    assert {s.delivery_id for s in made.slots}.isdisjoint(o.delivery_id for o in made.put_off)
    assert all(off.wait >= timedelta(0) for off in made.put_off)
