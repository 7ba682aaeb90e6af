"""What differs between two states of a sequence, in words (P28, P29)."""

from __future__ import annotations

from dataclasses import replace
from datetime import time, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nurture import sequence_files
from nurture.domain import wording
from nurture.domain.difference import Mark, difference
from nurture.domain.sequence import (
    Again,
    Capped,
    Condition,
    Entry,
    EntryKey,
    Fact,
    Hours,
    Mode,
    SequenceSpec,
    Step,
    StepKind,
    Trigger,
    Wait,
    WaitKind,
    Window,
)
from tests.factories.sequences import specs

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A, B, C = (Step(key=key, text=f"This is {key}.") for key in "abc")
SPEC = SequenceSpec(slug="s", name="Story", triggers=(Trigger(fact=Fact.MISSED),), steps=(A, B, C))


def said(before: SequenceSpec | None, after: SequenceSpec) -> list[str]:
    """The difference, line by line."""
    return str(difference(before, after)).splitlines()


def test_nothing_differs_from_itself() -> None:
    found = difference(SPEC, SPEC)
    assert not found
    assert [step.mark for step in found.steps] == [Mark.SAME] * 3


@given(specs(), specs())
def test_two_sequences_differ_in_words_exactly_if_their_files_do(
    one: SequenceSpec, other: SequenceSpec
) -> None:
    same = sequence_files.write(one) == sequence_files.write(other)
    assert bool(difference(one, other)) != same


@given(st.permutations("abcdef"), st.permutations("abcdef"))
def test_as_few_steps_as_possible_are_said_to_have_moved(old: list[str], new: list[str]) -> None:
    """As many stay as stand in the same order before and after: tried out for each choice."""
    before, after = (
        replace(SPEC, steps=tuple(Step(key=key, text="Hi.") for key in keys)) for keys in (old, new)
    )
    moved = sum(step.moved for step in difference(before, after).steps)
    stay = max(
        count
        for count in range(1, 7)
        if any(
            sorted(some, key=old.index) == sorted(some, key=new.index)
            for some in combinations("abcdef", count)
        )
    )
    assert moved == 6 - stay


def test_steps_are_told_apart_by_their_keys() -> None:
    after = replace(SPEC, steps=(C, replace(A, text="This is new."), Step(key="d", text="D.")))
    found = difference(SPEC, after)
    assert [(step.key, step.mark) for step in found.steps] == [
        ("c", Mark.SAME),
        ("a", Mark.CHANGED),
        ("b", Mark.REMOVED),
        ("d", Mark.ADDED),
    ]
    assert said(SPEC, after) == [
        "step a: moved from place 1 to 2; Text: “This is a.” → “This is new.”",
        "step b was removed",
        "step d was added",
    ]


def test_a_step_that_only_moved() -> None:
    found = difference(SPEC, replace(SPEC, steps=(C, A, B)))
    assert [step.mark for step in found.changed_steps] == [Mark.MOVED]
    assert str(found) == "step c: moved from place 3 to 1"


def test_a_step_that_was_first_and_is_gone_stands_first() -> None:
    found = difference(SPEC, replace(SPEC, steps=(B, C)))
    assert [step.key for step in found.steps] == ["a", "b", "c"]


def test_without_one_before_everything_is_new() -> None:
    found = difference(None, SPEC)
    assert {step.mark for step in found.steps} == {Mark.ADDED}
    assert found.rules[0].before == ""


def test_a_text_differs_word_by_word() -> None:
    before, after = replace(SPEC, steps=(A,)), replace(SPEC, steps=(replace(A, text="That is a."),))
    [line] = difference(before, after).steps[0].lines
    assert [(piece.mark, piece.text) for piece in line.pieces] == [
        (Mark.REMOVED, "This"),
        (Mark.ADDED, "That"),
        (Mark.SAME, " is a."),
    ]
    longer = replace(SPEC, steps=(replace(A, text="This is a. Really."),))
    [line] = difference(before, longer).steps[0].lines
    assert [piece.mark for piece in line.pieces] == [Mark.SAME, Mark.ADDED]
    [line] = difference(longer, before).steps[0].lines
    assert [piece.mark for piece in line.pieces] == [Mark.SAME, Mark.REMOVED]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": Window(opens=time(9), closes=time(20))},
         "Hours: “at any hour” → “09:00 to 20:00 their time, every day”"),
        ({"window": Window(opens=time(9), closes=time(20), days=0b11)},
         "Hours: “at any hour” → “09:00 to 20:00 their time, Mon, Tue”"),
        ({"triggers": (Trigger(fact=Fact.LATE, times=0, course="x@y"),)},
         "Starts on: “missed, the first in a row, any course” → "
         "“late, each time, the course x@y”"),
        ({"triggers": (Trigger(fact=Fact.MISSED, times=2),)},
         "Starts on: “missed, the first in a row, any course” → “missed, 2 in a row, any course”"),
        ({"entry": Entry(key=EntryKey.LEARNER, again=Again.NEVER, open=2)},
         "Entry: “one run per class, again each time, at most 1 at a time” → "
         "“one run per learner, never again, at most 2 at a time”"),
        ({"entry": Entry(again=Again.AFTER, again_after=7 * DAY)},
         "Entry: “one run per class, again each time, at most 1 at a time” → "
         "“one run per class, again after 7 d, at most 1 at a time”"),
        ({"mode": Mode.DRY_RUN}, "Mode: “live” → “dry run”"),
        ({"cap_per_day": 1, "capped": Capped.DEFER},
         "Cap: “–” → “1 a day for each learner; one too many is deferred”"),
        ({"outside_hours": Hours.SKIP},
         "Outside the hours: “held until they open” → “skipped”"),
        ({"exit_when": ("attended",)}, "Ends early on: “–” → “attended”"),
        ({"holdout": 10}, "Held out: “–” → “10 %”"),
    ],
)  # fmt: skip
def test_rules_in_words(changes: dict[str, object], words: str) -> None:
    assert said(SPEC, SequenceSpec(**{**vars(SPEC), **changes})) == [words]


@pytest.mark.parametrize(
    ("wait", "words"),
    [
        (Wait(), "at once"),
        (Wait(duration=90 * timedelta(minutes=1)), "90 min after the step before"),
        (Wait(duration=2 * HOUR), "2 h after the step before"),
        (Wait(kind=WaitKind.AT, at=time(9)), "at 09:00 their time, today if still ahead"),
        (Wait(kind=WaitKind.AT, at=time(9), plus_days=1), "at 09:00 their time, the next day"),
        (Wait(kind=WaitKind.AT, at=time(9), plus_days=2, days=0b1),
         "at 09:00 their time, 2 days on on Mon"),
        (Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR),
         "2 h before the next class; skipped if that is past"),
        (Wait(kind=WaitKind.BEFORE_NEXT_SESSION, duration=2 * HOUR, if_past="send"),
         "2 h before the next class; sent at once if that is past"),
        (Wait(kind=WaitKind.UNTIL_EVENT, event="pledged", duration=2 * DAY),
         "until pledged, or after 2 d"),
    ],
)  # fmt: skip
def test_waits_in_words(wait: Wait, words: str) -> None:
    assert wording.wait(wait) == words


def test_conditions_and_other_kinds_of_steps_in_words() -> None:
    pledged, vip = (
        Condition(op="is", name="pledged_next"),
        Condition(op="is", name="tag", value="v"),
    )
    neither = Condition(op="not", parts=(Condition(op="any", parts=(pledged, vip)),))
    assert wording.condition(neither) == "not ((said that they come next time or has the tag v))"
    alone = Condition(op="all", parts=(pledged,))
    assert wording.condition(alone) != wording.condition(pledged)
    branch = Step(key="q", kind=StepKind.BRANCH, options={"when": vip, "then": "a", "else": "b"})
    assert wording.step(branch)["Asks whether the learner"] == "has the tag v"
    split = Step(key="q", kind=StepKind.SPLIT, options={"arms": {"a": 2, "b": 1}})
    assert wording.step(split)["Splits"] == "a: 2, b: 1"
    message = replace(
        A, when=vip, texts={"es": "Hola."}, buttons=((("Yes", "pledge_next"),),), expires=HOUR,
        enabled=False,
    )  # fmt: skip
    assert wording.step(message) == {
        "Kind": "message",
        "Switch": "off",
        "Wait": "at once",
        "Only if the learner": "has the tag v",
        "Text": "This is a.",
        "Text in es": "Hola.",
        "Buttons": "[Yes] → pledge_next",
        "Of use for": "1 h",
    }
