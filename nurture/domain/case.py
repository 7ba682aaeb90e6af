"""One journey as a case: what may leave the house, and whether two walks are the same.

A case holds no personal data. Whatever is free text becomes the mark of its digest, so that two
texts can be told apart and neither can be read; of the texts of steps what is between braces stays,
because that decides whether a value is missing.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nurture.domain.conditions import leaves
from nurture.domain.sequence import Condition, SequenceSpec, Step, Trigger

#: The calendar of the journey's own course, in a case.
COURSE = "course"
_MARK = "sha256:"
_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_DEFAULT = re.compile(r"(default:\s*)('[^']+'|\"[^\"]+\")")
#: What engine and schedule write by themselves: codes, moments, keys, numbers. No spaces, no @.
_PLAIN = re.compile(r"[A-Za-z0-9_:.+-]{0,64}")

Decisions = Sequence[Mapping[str, Any]]


def mark(text: str) -> str:
    """A text that cannot be read and still be told from others; empty stays empty.

    A mark is its own mark, so marking twice changes nothing.
    """
    if not text or re.fullmatch(_MARK + "[0-9a-f]{16}", text):
        return text
    return _MARK + hashlib.sha256(text.encode()).hexdigest()[:16]


def skeleton(text: str) -> str:
    """The text of a step: its mark, and what is between braces, with other words for `default`."""
    if not text:
        return ""
    tags = (_DEFAULT.sub(r"\1'x'", tag) for tag in _TAGS.findall(text))
    return " ".join([mark(text), *tags])


def anonymous(spec: SequenceSpec, *, calendar: str) -> SequenceSpec:
    """The same rules with nobody's words in them. `calendar`: that of the journey's course.

    The holdout is left out: who is in a journey was not held out.
    """
    return replace(
        spec,
        name=mark(spec.name),
        holdout=0,
        triggers=tuple(_trigger(trigger, calendar) for trigger in spec.triggers),
        steps=tuple(_step(step) for step in spec.steps),
    )


def _trigger(trigger: Trigger, calendar: str) -> Trigger:
    if trigger.course == "any":
        return trigger
    return replace(trigger, course=COURSE if trigger.course == calendar else mark(trigger.course))


def _step(step: Step) -> Step:
    words = {"to", "note"} & set(step.options)
    return replace(
        step,
        text=skeleton(step.text),
        texts={language: skeleton(text) for language, text in step.texts.items()},
        buttons=tuple(
            tuple((mark(words), _action(action)) for words, action in row) for row in step.buttons
        ),
        options={**step.options, **{name: mark(str(step.options[name])) for name in words}},
    )


def _action(action: str) -> str:
    return "https://example.org/" if action.startswith("https://") else action


def tags_asked(spec: SequenceSpec) -> set[str]:
    """The tags that the rules ask for; any other tag of a learner has no say in a case."""
    asked: list[Condition | None] = []
    for step in spec.steps:
        asked += [step.when, step.options.get("when")]
    return {leaf.value for tree in asked for leaf in leaves(tree) if leaf.name == "tag"}


def plain(value: Any) -> Any:
    """The inputs of a decision without free text."""
    if isinstance(value, Mapping):
        return {plain(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else mark(value)
    return value


def digest(decisions: Decisions) -> str:
    """A fingerprint of what was decided, when, and from what."""
    text = json.dumps(list(decisions), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def difference(before: Decisions, after: Decisions) -> str:
    """Where two walks part, in a sentence; empty where they are the same."""
    for number, (old, new) in enumerate(zip(before, after, strict=False), start=1):
        for key in old:
            if old[key] != new.get(key):
                return f"decision {number}: {key} was {old[key]!r} and is {new.get(key)!r}"
    if len(before) != len(after):
        return f"there were {len(before)} decisions and are {len(after)}"
    return ""
