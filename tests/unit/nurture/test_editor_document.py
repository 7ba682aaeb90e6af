"""The form and the file say the same, whichever is made of the other (P28)."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nurture
from nurture.admin.editor.document import state_of
from nurture.admin.editor.draft import Draft
from nurture.admin.editor.operations import operate
from nurture.admin.editor.state import State, fields_of, from_fields, rows
from nurture.sequence_files import read, write
from tests.factories.sequences import specs

OURS = sorted((Path(nurture.__file__).parent / "sequences").glob("*.yaml"))
EVERY_KEY = """\
sequence: every-key
name: "Every key: each of them"
category: attendance
entry: {key: learner, again: after 90m, open: 2}
window: {opens: "22:00", closes: "06:00", days: [mon, sun]}
outside_hours: skip
priority: 7
cap: {per_day: 2, then: defer}
holdout: 10
mode: dry_run
triggers:
  - {fact: missed, course: c1@group.calendar.google.com, times: 2}
  - {fact: late, course: any, times: any}
exit_when: [replied, attended, opted_out]
steps:
  - key: hello
    enabled: false
    wait: {at: "09:00", plus_days: 2, on: [tue, thu]}
    when: {all: [{not: pledged_next}, {any: ["tag:vip", "language:es", {not: {all: [missed]}}]}]}
    text: |
      Hi {{ first_name | default: 'there' }},

        <b>we</b> missed you: "no"
    buttons: [[{text: I was there, action: dispute}, {text: Site, action: "https://x.org/?a=1"}],
              [{text: "Yes: I will", action: pledge_next}]]
    expires: 36h
  - {key: pause, kind: wait, wait: {until_event: pledged, or_after: 2d}}
  - {key: fork, kind: branch, when: replied, then: share, else: end}
  - key: share
    kind: split
    wait: {before_next_session: 2h, if_past: send}
    arms: {mark: 3, end: 1}
  - {key: mark, kind: tag, add: vip}
  - {key: unmark, kind: tag, remove: vip, when: attended}
  - {key: call, kind: handover, to: tutor, note: "Call: please."}
  - {key: end, kind: exit, reason: enough}
languages:
  es: {hello: "Hola\\n\\n¿va todo bien?"}
  pt-BR: {hello: "Oi"}
"""


def through_the_page(state: State) -> State:
    """As a browser sends it: fields by name, line ends its own way."""
    fields = fields_of(state)
    for name in fields:
        fields.setlist(name, [value.replace("\n", "\r\n") for value in fields.getlist(name)])
    return from_fields(fields)


def there_and_back(source: str) -> str:
    canonical = write(read(source))
    draft = Draft(through_the_page(state_of(canonical)))
    assert draft.problems == {}
    assert draft.spec is not None
    return write(draft.spec)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_each_of_ours_comes_back_byte_for_byte(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert there_and_back(source) == write(read(source))


def test_a_file_with_every_key_comes_back_byte_for_byte() -> None:
    assert there_and_back(EVERY_KEY) == write(read(EVERY_KEY))


@given(specs())
@settings(max_examples=20, deadline=None)
def test_any_file_comes_back(spec: Any) -> None:
    canonical = write(read(write(spec)))
    assert there_and_back(canonical) == canonical


_typed = st.sampled_from(["", "0", "3", "abc", "on", "not", "09:00", "end", "<b>x", "no: {"])


@given(st.data())
@settings(max_examples=20, deadline=None)
def test_what_the_form_accepts_the_reader_of_files_accepts(data: st.DataObject) -> None:
    """Whatever is typed: either there is a problem at a field, or the file is a sequence."""
    fields = fields_of(state_of(write(read(EVERY_KEY))))
    for name in data.draw(st.lists(st.sampled_from(sorted(fields)), max_size=4)):
        fields.setlist(name, [data.draw(_typed)])
    draft = Draft(from_fields(fields))
    if draft.problems:
        assert all(any(field.startswith(path) for field in fields) for path in draft.problems)
    else:
        assert read(draft.source) == draft.spec


@pytest.mark.parametrize(
    ("field", "typed", "where"),
    [
        ("name", "", "name"),
        ("window.opens", "25:00", "window.opens"),
        ("entry.open", "0", "entry.open"),
        ("entry.after.number", "soon", "entry.again"),
        ("triggers.1.times", "x", "triggers.1.times"),
        ("steps.1.key", "No!", "steps.1.key"),
        ("steps.1.text", "<b>open", "steps.1.text"),
        ("steps.1.texts.es", "{{ nobody }}", "steps.1.texts.es"),
        ("steps.1.expires.number", "x", "steps.1.expires.number"),
        ("steps.1.wait.at", "", "steps.1.wait.at"),
        ("steps.1.buttons.1.row.1.action", "No!", "steps.1.buttons"),
        ("steps.2.wait.or_after.number", "", "steps.2.wait.or_after.number"),
        ("steps.3.then", "hello", "steps.3.key"),
        ("steps.4.arms.2.to", "mark", "steps.4.arms"),
        ("steps.5.tag.name", "", "steps.5.tag.name"),
        ("languages", "es, ¿, pt-BR", ""),
    ],
)
def test_each_problem_is_at_its_field(field: str, typed: str, where: str) -> None:
    fields = fields_of(state_of(write(read(EVERY_KEY))))
    assert field in fields
    fields.setlist(field, [typed])
    draft = Draft(from_fields(fields))
    assert where in draft.problems if where else not draft.problems


def test_rows_change_places_come_go_and_come_back() -> None:
    state = state_of(write(read(EVERY_KEY)))
    before = copy.deepcopy(state)

    assert "number 1 of 8" in operate(state, "up steps.2").words
    assert list(rows(state, "steps"))[:2] == ["2", "1"]
    operate(state, "down steps.2")
    assert state == before
    assert list(state["steps"]) == list(before["steps"])
    assert "first already" in operate(state, "up steps.1").words

    operate(state, "remove steps.1")
    assert "hello" not in Draft(state).source
    operate(state, "undo steps.1")
    assert state == before

    assert operate(state, "copy steps.1").focus == "steps.9.key"
    assert list(state["steps"])[:2] == ["1", "9"]
    assert state["steps"]["9"]["key"] == "hello-2"
    operate(state, "add steps.1.buttons.1.row")
    assert list(state["steps"]["1"]["buttons"]["1"]["row"]) == ["1", "2", "3"]
    operate(state, "remove steps.1.buttons.1.row.3")
    operate(state, "add steps")
    assert state["steps"]["10"]["key"] == "step"
    operate(state, "add steps.1.when.parts")
    assert Draft(state).problems == {"steps.10.text": ["text: expected a text"]}


@pytest.mark.parametrize("do", ["", "up", "up steps.99", "add name.x", "add steps.9.arms", "x y"])
def test_a_button_for_what_is_not_there_does_nothing(do: str) -> None:
    state = state_of(write(read(EVERY_KEY)))
    before = copy.deepcopy(state)
    operate(state, do)
    assert state == before
