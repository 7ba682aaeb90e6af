"""Who a guest could be (identity levels 0 to 3): whose absence an endpoint puts in doubt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from attendance.domain.hints import NOTHING, STRONG, WEAK, Expected, Guest, Hint, hint
from attendance.domain.identity import endpoint_mark, name_key


def who(learner: int, name: str, email: str, **more: object) -> Expected:
    """One of the roster."""
    return replace(Expected(learner, name_key(name), email), **more)  # type: ignore[arg-type]


ROSTER = [
    who(1, "Rosa Maro", "rosa.maro@gmail.com"),
    who(2, "Katharina Benali", "kb@school.example"),
    who(3, "Li Na", "lina@shop.com"),
]
EVERYBODY = {1, 2, 3}


def guest(name: str = "", identifier: str = "") -> Guest:
    """Somebody in the call."""
    mark = endpoint_mark(identifier=identifier, identifier_type="", display_name=name)
    return Guest(7, mark, identifier, name)


@pytest.mark.parametrize(
    ("name", "identifier", "level", "could"),
    [
        pytest.param("", "", NOTHING, EVERYBODY, id="nameless"),
        pytest.param("Mom's iPad", "", NOTHING, EVERYBODY, id="a name of nobody"),
        pytest.param("maro, rosa [Student]", "", STRONG, {1}, id="the very name"),
        pytest.param("Katarina Benali", "", WEAK, {2}, id="a name alike"),
        pytest.param("Katharina", "", WEAK, {2}, id="a part of the name"),
        pytest.param("Visitor", "who@else.example", NOTHING, set(), id="a stranger"),
        pytest.param("Rosa Maro", "other@gmail.com", WEAK, {1}, id="other account, own name"),
        pytest.param("", "li***@s***.com", WEAK, {3}, id="a mask that fits one"),
        pytest.param("Li Na", "li***@s***.com", STRONG, {3}, id="mask and name"),
        pytest.param("", "zz***@s***.com", NOTHING, set(), id="a mask that fits nobody"),
        pytest.param("Rosa Maro", "zz***@s***.com", WEAK, {1}, id="other mask, own name"),
    ],
)
def test_whom_a_guest_could_be(name: str, identifier: str, level: int, could: set[int]) -> None:
    stranger = guest(name, identifier)

    found = hint(guest=stranger, roster=ROSTER)

    assert found.level == level
    assert {who.learner for who in ROSTER if found.could_be(who, stranger)} == could


def test_the_very_name_is_weak_where_it_is_shown_twice_or_its_owner_was_seen() -> None:
    rosa = guest("Rosa Maro")
    seen = [replace(ROSTER[0], seen=True), *ROSTER[1:]]

    assert hint(guest=rosa, roster=ROSTER, same_name=2).level == WEAK
    assert hint(guest=rosa, roster=seen) == replace(hint(guest=rosa, roster=ROSTER), level=WEAK)


def test_a_room_is_nobody_whatever_it_is_called() -> None:
    room = replace(guest("Rosa Maro"), is_room=True)

    assert hint(guest=room, roster=ROSTER) == Hint(NOTHING, frozenset(), "room")


def test_two_learners_of_one_name_are_both_in_doubt() -> None:
    twins = [*ROSTER, who(4, "Rosa Maro", "other@x.org")]

    found = hint(guest=guest("Rosa Maro"), roster=twins)

    assert (found.level, set(found.learners or ())) == (WEAK, {1, 4})


def test_in_a_small_group_a_name_alike_says_too_little() -> None:
    found = hint(guest=guest("Katarina Benali"), roster=ROSTER[:2])

    assert (found.level, found.learners) == (NOTHING, None)


def test_a_part_of_two_names_says_nothing() -> None:
    roster = [*ROSTER, who(4, "Rosa Lindt", "rl@x.org")]

    assert hint(guest=guest("Rosa"), roster=roster).learners is None


def test_what_staff_rejected_is_remembered() -> None:
    nameless, rosa = guest("Visitor"), guest("Rosa Maro")
    roster = [replace(ROSTER[0], rejected=frozenset({nameless.mark, rosa.mark})), *ROSTER[1:]]

    anyone = hint(guest=nameless, roster=roster)

    assert {w.learner for w in roster if anyone.could_be(w, nameless)} == {2, 3}
    assert not hint(guest=rosa, roster=roster).could_be(roster[0], rosa)


def test_an_address_that_a_learner_named_puts_their_absence_in_doubt() -> None:
    stranger = guest("iPad", "other@x.org")
    roster = [*ROSTER[:2], replace(ROSTER[2], suggested=frozenset({stranger.mark}))]

    assert set(hint(guest=stranger, roster=roster).learners or ()) == {3}
