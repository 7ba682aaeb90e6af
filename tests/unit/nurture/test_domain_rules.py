"""Conditions, entering again, triggers, shares and reasons: rules without a clock (P03, P04)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture.domain.conditions import NAMES, ConditionFacts, answers, holds
from nurture.domain.entry import LEARNER_KEY, Enter, Previous, Refuse, entry_key, may_enter
from nurture.domain.reasons import EXPLAIN, Reason
from nurture.domain.rollout import bucket
from nurture.domain.sequence import Again, Condition, Entry, EntryKey, Fact, Trigger
from nurture.domain.triggers import Match, Mismatch, first_match

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NOBODY = ConditionFacts()
EVERYTHING = ConditionFacts(
    facts=frozenset({"attended", "missed"}), pledged_next=True, has_next_session=True,
    replied=True, opted_out=True, tags=frozenset({"vip"}), language="no",
)  # fmt: skip
TRUE = Condition(op="is", name="replied")
FALSE = Condition(op="not", parts=(TRUE,))


def leaf(name: str, value: str = "") -> Condition:
    return Condition(op="is", name=name, value=value)


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_question_is_answered_by_its_own_fact(name: str) -> None:
    """The closed list: each is false of nobody and true of somebody with everything."""
    assert not holds(leaf(name), NOBODY)
    assert holds(leaf(name), EVERYTHING)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        pytest.param(leaf("tag", "vip"), True, id="the tag"),
        pytest.param(leaf("tag", "other"), False, id="another tag"),
        pytest.param(leaf("language", "no"), True, id="the language"),
        pytest.param(leaf("language", "en"), False, id="another language"),
        pytest.param(FALSE, False, id="not"),
        pytest.param(Condition(op="not", parts=(FALSE,)), True, id="not not"),
        pytest.param(Condition(op="all", parts=(TRUE, TRUE)), True, id="all of two"),
        pytest.param(Condition(op="all", parts=(TRUE, FALSE)), False, id="all but one"),
        pytest.param(Condition(op="any", parts=(FALSE, TRUE)), True, id="any of two"),
        pytest.param(Condition(op="any", parts=(FALSE, FALSE)), False, id="none of two"),
    ],
)
def test_a_tree_of_conditions(condition: Condition, *, expected: bool) -> None:
    assert holds(condition, EVERYTHING) is expected


def test_the_answers_to_a_condition_are_told_one_by_one() -> None:
    """P23: what a decision was based on, not only what came of it."""
    asked = Condition(op="all", parts=(FALSE, leaf("tag", "vip"), leaf("tag", "other")))

    assert answers(asked, EVERYTHING) == {"replied": True, "tag:vip": True, "tag:other": False}
    assert answers(None, EVERYTHING) == {}


def test_only_the_fact_that_happened_counts() -> None:
    attended = ConditionFacts(facts=frozenset({"attended"}))
    assert holds(leaf("attended"), attended)
    assert not holds(leaf("missed"), attended)


# --- entry ----------------------------------------------------------------------------------------


def ran(key: str, days_ago: int, *, slot: int | None = None) -> Previous:
    """A journey that began so many days ago; open where it has a slot."""
    return Previous(
        entry_key=key, started_at=NOW - days_ago * DAY, is_open=slot is not None, slot=slot
    )


def rule(
    key: EntryKey = EntryKey.SESSION,
    again: Again = Again.EVERY_KEY,
    *,
    days: int = 7,
    most: int = 1,
) -> Entry:
    after = days * DAY if again is Again.AFTER else None
    return Entry(key=key, again=again, again_after=after, open=most)


LEARNER = EntryKey.LEARNER
SESSION = EntryKey.SESSION


def test_the_key_is_the_class_or_the_learner() -> None:
    assert entry_key(rule(SESSION), 7) == "session:7"
    assert entry_key(rule(LEARNER), 7) == LEARNER_KEY


@pytest.mark.parametrize(
    ("entry", "key", "previous", "expected"),
    [
        pytest.param(rule(), "session:1", [], (1, 0), id="the first time"),
        pytest.param(rule(again=Again.NEVER), "session:1", [], (1, 0), id="never before"),
        pytest.param(rule(), "session:2", [ran("session:1", 1)], (1, 0), id="another class"),
        pytest.param(
            rule(most=2), "session:2", [ran("session:1", 1, slot=0)], (1, 1), id="a second place"
        ),
        pytest.param(
            rule(most=2), "session:3", [ran("session:1", 1, slot=1)], (1, 0), id="the first is free"
        ),
        pytest.param(
            rule(again=Again.AFTER), "session:2", [ran("session:1", 7)], (1, 0), id="cooled down"
        ),
        pytest.param(
            rule(LEARNER, Again.AFTER), "learner", [ran("learner", 20), ran("learner", 8)], (3, 0),
            id="the third run of a learner",
        ),
        pytest.param(
            Entry(key=LEARNER, again=Again.AFTER), "learner", [ran("learner", 1)], (2, 0),
            id="after no time at all",
        ),
    ],
)  # fmt: skip
def test_who_may_enter(
    entry: Entry, key: str, previous: list[Previous], expected: tuple[int, int]
) -> None:
    """P04, P03: the run of its key and the place it takes."""
    place, slot = expected
    assert may_enter(entry, key=key, previous=previous, now=NOW) == Enter(round=place, slot=slot)


@pytest.mark.parametrize(
    ("entry", "key", "previous", "reason"),
    [
        pytest.param(
            rule(again=Again.NEVER), "session:2", [ran("session:1", 99)], Reason.ALREADY_ENTERED,
            id="once in a life",
        ),
        pytest.param(
            rule(), "session:1", [ran("session:1", 99)], Reason.ALREADY_ENTERED, id="the same class"
        ),
        pytest.param(
            rule(LEARNER), "learner", [ran("learner", 99)], Reason.ALREADY_ENTERED,
            id="every key, the only key",
        ),
        pytest.param(
            rule(again=Again.AFTER), "session:1", [ran("session:1", 99)], Reason.ALREADY_ENTERED,
            id="a class causes one run even when cooled down",
        ),
        pytest.param(
            rule(again=Again.AFTER), "session:2", [ran("session:1", 6)], Reason.COOLING_DOWN,
            id="left and came back within the cool-down",
        ),
        pytest.param(
            rule(LEARNER, Again.AFTER), "learner", [ran("learner", 20), ran("learner", 6)],
            Reason.COOLING_DOWN, id="the latest run counts",
        ),
        pytest.param(
            rule(), "session:2", [ran("session:1", 1, slot=0)], Reason.ALREADY_OPEN, id="one open"
        ),
        pytest.param(
            rule(most=2), "session:3", [ran("session:1", 2, slot=0), ran("session:2", 1, slot=1)],
            Reason.ALREADY_OPEN, id="two open",
        ),
    ],
)  # fmt: skip
def test_who_may_not_enter(
    entry: Entry, key: str, previous: list[Previous], reason: Reason
) -> None:
    """P04: each rule refuses with its own reason and says from what."""
    verdict = may_enter(entry, key=key, previous=previous, now=NOW)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is reason
    assert verdict.inputs
    assert (verdict.until is not None) is (reason is Reason.COOLING_DOWN)


def test_a_cool_down_says_when_it_ends_and_ends_then() -> None:
    entry, previous = rule(again=Again.AFTER), [ran("session:1", 6)]
    refusal = may_enter(entry, key="session:2", previous=previous, now=NOW)
    assert isinstance(refusal, Refuse)
    assert refusal.until == NOW + DAY
    again = may_enter(entry, key="session:2", previous=previous, now=refusal.until)
    assert again == Enter(round=1, slot=0)


# --- triggers -------------------------------------------------------------------------------------


def missed(times: int = 1, course: str = "any") -> Trigger:
    return Trigger(fact=Fact.MISSED, course=course, times=times)


PINNED = 1.8358361052737138
LATE = Trigger(fact=Fact.LATE)


@pytest.mark.parametrize(
    ("triggers", "streak", "expected"),
    [
        pytest.param([missed()], 1, Match(trigger=missed(), streak=1), id="any course"),
        pytest.param(
            [missed(course="spanish")], 1, Match(trigger=missed(course="spanish"), streak=1),
            id="this course",
        ),
        pytest.param(
            [LATE, missed(2), missed()], 1, Match(trigger=missed(), streak=1), id="third in line"
        ),
        pytest.param(
            [missed(course="spanish"), missed()], 1,
            Match(trigger=missed(course="spanish"), streak=1), id="the first in the file wins",
        ),
        pytest.param([missed(2)], 2, Match(trigger=missed(2), streak=2), id="exactly two"),
        pytest.param(
            [missed(2)], 1,
            Mismatch(reason=Reason.TIMES_NOT_REACHED, inputs={"in_a_row": 1, "wanted": [2]}),
            id="one of two",
        ),
        pytest.param(
            [missed(2)], 3,
            Mismatch(reason=Reason.TIMES_NOT_REACHED, inputs={"in_a_row": 3, "wanted": [2]}),
            id="two in a row does not fire again at three",
        ),
        pytest.param(
            [LATE], 1, Mismatch(reason=Reason.NO_TRIGGER, inputs={"fact": "missed"}),
            id="another fact",
        ),
        pytest.param(
            [], 1, Mismatch(reason=Reason.NO_TRIGGER, inputs={"fact": "missed"}), id="none"
        ),
        pytest.param(
            [LATE, missed(course="french")], 1,
            Mismatch(reason=Reason.WRONG_COURSE, inputs={"course": "spanish"}), id="another course",
        ),
        pytest.param(
            [LATE, missed(course="french"), missed(3)], 1,
            Mismatch(reason=Reason.TIMES_NOT_REACHED, inputs={"in_a_row": 1, "wanted": [3]}),
            id="the closest reason",
        ),
    ],
)  # fmt: skip
def test_which_trigger_fires(
    triggers: list[Trigger], streak: int, expected: Match | Mismatch
) -> None:
    found = first_match(triggers, fact=Fact.MISSED, calendar_id="spanish", streak=streak)
    assert found == expected


@given(times=st.integers(1, 20), streak=st.integers(1, 20))
def test_a_trigger_fires_at_exactly_its_number(times: int, streak: int) -> None:
    found = first_match([missed(times)], fact=Fact.MISSED, calendar_id="x", streak=streak)
    assert isinstance(found, Match) is (times == streak)


# --- shares and reasons ---------------------------------------------------------------------------


@given(keys=st.sets(st.text(), max_size=50), percents=st.lists(st.integers(0, 100), min_size=2))
def test_raising_the_share_only_adds(keys: set[str], percents: list[int]) -> None:
    shares = [{key for key in keys if bucket(key) < percent} for percent in sorted(percents)]
    assert all(smaller <= larger for smaller, larger in pairwise(shares))


@given(key=st.text())
def test_a_draw_stays_and_lies_below_a_hundred(key: str) -> None:
    assert bucket(key) == bucket(key)
    assert 0 <= bucket(key) < 100


def test_a_draw_is_the_same_on_every_machine_and_fair() -> None:
    """A changed hash would swap everybody: the value is pinned."""
    assert bucket("rosa@example.org") == pytest.approx(PINNED)
    inside = sum(bucket(f"learner {n}") < 20 for n in range(10_000))
    assert 1_800 < inside < 2_200


def test_every_reason_is_explained_in_a_sentence_of_its_own() -> None:
    """P27: no code without words, no words without a code, no words twice."""
    assert set(EXPLAIN) == set(Reason)
    assert len(set(EXPLAIN.values())) == len(Reason)
    assert all(said.endswith(".") and said[0].isupper() for said in EXPLAIN.values())
