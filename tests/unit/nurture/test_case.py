"""What of a journey may leave the house, and when two walks are the same (N14)."""

from __future__ import annotations

from typing import Any

import pytest

from nurture import sequence_files, sequence_writer
from nurture.domain import case

RULES = """\
sequence: case
name: By Greta
category: lessons
holdout: 10
triggers:
  - {fact: missed, course: mine}
  - {fact: late, course: greta@example.org}
  - {fact: attended}
steps:
  - key: hello
    when: {any: ["tag:vip", replied]}
    text: "Hi {{ first_name | default: 'Greta' }}, {% if streak == 2 %}again{% endif %}"
    buttons: [[{text: Greta, action: dispute}, {text: Her page, action: "https://greta.example"}]]
  - {key: way, kind: branch, when: {not: "tag:new"}, then: call, else: bye}
  - {key: call, kind: handover, to: Greta, note: Call Rosa}
  - {key: bye, text: Bye from Greta}
languages: {es: {bye: "Greta {{ last_name }}"}}
"""


def test_rules_without_words_are_still_the_same_rules() -> None:
    spec = sequence_files.read(RULES)

    found = case.anonymous(spec, calendar="mine")

    text = sequence_writer.write(found)
    assert "greta" not in text.lower()
    assert "rosa" not in text.lower()
    assert sequence_files.read(text) == found
    assert [trigger.course for trigger in found.triggers][::2] == ["course", "any"]
    assert "{{ first_name | default: 'x' }} {% if streak == 2 %} {% endif %}" in found.steps[0].text
    assert (found.holdout, found.category) == (0, "lessons")
    assert case.tags_asked(spec) == {"vip", "new"}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("2026-03-03T21:00:00+00:00", "2026-03-03T21:00:00+00:00"),
        ("first_name", "first_name"),
        ({"round": 2, "tag:vip": True}, {"round": 2, "tag:vip": True}),
        (None, None),
    ],
)
def test_what_the_engine_writes_stays(value: Any, plain: Any) -> None:
    assert case.plain(value) == plain


def test_what_people_write_becomes_a_mark() -> None:
    said = case.plain({"error": "Rosa has no name", "all": ["rosa@example.org", ""]})

    assert "rosa" not in str(said).lower()
    assert case.plain(said) == said
    assert case.mark("Rosa") != case.mark("Rosie")
    assert case.skeleton("") == case.mark("") == ""
    assert case.mark(case.mark("Rosa")) == case.mark("Rosa")


def test_two_walks_are_compared_decision_by_decision() -> None:
    one = [{"code": "entered", "at": "1"}, {"code": "completed", "at": "2"}]
    late = [one[0], {"code": "completed", "at": "3"}]

    assert case.difference(one, [*one]) == ""
    assert case.digest(one) == case.digest([dict(reversed(row.items())) for row in one])
    assert case.difference(one, late) == "decision 2: at was '2' and is '3'"
    assert case.difference(one, one[:1]) == "there were 2 decisions and are 1"
    assert case.digest(one) != case.digest(late)
