"""What stands in the form, read as a file by the reader of files: every problem at its field."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from nurture import sequence_files
from nurture.admin.editor.document import file_of, present
from nurture.admin.editor.state import State, rows, said
from nurture.domain.sequence import SequenceSpec, StepKind
from nurture.sequence_writer import WIDTH

TWICE = "two arms lead to the same step: give it one with the sum of both weights"
_MISSING = re.compile(r"'(\w+)' is missing")


@dataclass
class Draft:
    """What stands in the form, as a file, and what the reader of files says to it."""

    state: State
    #: Fields by path with what is wrong there; "" is the whole sequence.
    problems: dict[str, list[str]] = field(default_factory=dict)
    #: What could be understood, also where there are problems; None where nothing could.
    spec: SequenceSpec | None = None

    def __post_init__(self) -> None:
        try:
            self.spec = sequence_files.read(self.source)
        except sequence_files.SequenceFileError as refused:
            self.spec = refused.spec
            for problem in refused.problems:
                self._place(problem.line, problem.message)
        for number, row in present(self.state, "steps").items():
            targets = [said(arm, "to") for arm in rows(row, "arms").values()]
            if said(row, "kind") == StepKind.SPLIT and len(targets) > len(set(targets)):
                self.problems.setdefault(f"steps.{number}.arms", []).append(TWICE)

    @cached_property
    def source(self) -> str:
        """The file: one line for each key, so that a line says which field it came from."""
        yaml = YAML(typ="rt", pure=True)
        yaml.width = WIDTH
        target = io.StringIO()
        yaml.dump(file_of(self.state), target)
        return target.getvalue()

    def _place(self, line: int, message: str) -> None:
        path = self._lines.get(line, ())
        if missing := _MISSING.match(message):
            within = path if path and isinstance(path[-1], int) else path[:-1]
            path = (*within, missing[1])
        said = self.problems.setdefault(self._field(path), [])
        if message not in said:
            said.append(message)

    @cached_property
    def _lines(self) -> dict[int, tuple[Any, ...]]:
        root = YAML(typ="rt", pure=True).load(self.source)
        return dict(reversed(list(_places(root))))

    def _field(self, path: tuple[Any, ...]) -> str:
        """The field that a place in the file was made of."""
        match path:
            case ("languages", language, key, *_):
                steps = present(self.state, "steps")
                of = (number for number, row in steps.items() if said(row, "key") == key)
                return f"steps.{next(of, '')}.texts.{language}"
            case ("triggers" | "steps" as name, int(place), *rest):
                numbers = list(present(self.state, name))
                tail = rest or [next(iter(_FIRST_OF[name]))]
                return f"{name}.{numbers[place]}.{_inside(tail)}"
            case ("languages", *_):
                return "languages"
            case (str(name), *rest):
                return _inside([name, *rest])
        return ""


_FIRST_OF = {"triggers": ("fact",), "steps": ("key",)}
#: Where a part of the file is more than one field: the first of them.
_FIELDS = {
    "entry.again": "entry.again", "expires": "expires.number", "when": "when.is",
    "wait": "wait.form", "wait.after": "wait.after.number", "wait.until_event": "wait.event",
    "wait.before_next_session": "wait.before.number", "wait.or_after": "wait.or_after.number",
    "add": "tag.name", "remove": "tag.name", "window": "window.opens", "entry": "entry.key",
}  # fmt: skip


def _inside(names: list[Any]) -> str:
    """The field within a step, a trigger or the sequence; parts of lists are at their list."""
    kept = [str(name) for name in names[:2] if isinstance(name, str)]
    if kept[0] in {"when", "buttons", "arms", "exit_when"}:
        kept = kept[:1]
    path = ".".join(kept)
    return _FIELDS.get(path, path)


def _places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Line (from 1) and place of each key and item, the outer ones first."""
    if isinstance(node, CommentedMap):
        inner: Any = node.items()
    elif isinstance(node, CommentedSeq):
        inner = enumerate(node)
    else:
        return
    for key, value in inner:
        yield node.lc.data[key][0] + 1, (*path, key)
        yield from _places(value, (*path, key))
