"""How a file is read: piece by piece, each problem noted with its line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ruamel.yaml.comments import CommentedMap, CommentedSeq

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong, and where (lines count from 1)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


def _line(node: Any, key: Any) -> int:
    """The line of a key of a mapping or of an item of a list."""
    try:
        return int(node.lc.data[key][0]) + 1
    except (AttributeError, KeyError, TypeError):
        return int(getattr(getattr(node, "lc", None), "line", 0) or 0) + 1


@dataclass
class Reader:
    """Reads piece by piece and gathers problems instead of stopping at the first."""

    problems: list[Problem] = field(default_factory=list)

    def wrong(self, node: Any, key: Any, message: str) -> None:
        """Note a problem at a key of a node."""
        self.problems.append(Problem(line=_line(node, key), message=message))

    def known(self, node: CommentedMap, *names: str) -> None:
        """Unknown keys are errors: a typo must not be silently ignored."""
        for key in node:
            if key not in names:
                self.wrong(node, key, f"unknown key {key!r}; known here are {', '.join(names)}")

    def get(self, node: CommentedMap, key: str, convert: Callable[[Any], T], default: T) -> T:
        """The converted value of a key; `default` where it is missing or wrong (and noted)."""
        if key not in node:
            return default
        try:
            return convert(node[key])
        except (ValueError, TypeError) as error:
            self.wrong(node, key, f"{key}: {error}")
            return default

    def need(self, node: CommentedMap, key: str, convert: Callable[[Any], T], default: T) -> T:
        """The same for a key that must be there."""
        if key not in node:
            first = next(iter(node), None)
            self.wrong(node, first, f"{key!r} is missing")
            return default
        return self.get(node, key, convert, default)

    def mapping(self, node: CommentedMap, key: str) -> CommentedMap:
        """A nested mapping; an empty one where it is missing or something else (and noted)."""
        value = node.get(key)
        if value is not None and not isinstance(value, CommentedMap):
            self.wrong(node, key, f"{key}: expected keys and values")
        return value if isinstance(value, CommentedMap) else CommentedMap()

    def items(self, node: CommentedMap, key: str) -> list[tuple[CommentedSeq, int, CommentedMap]]:
        """The mappings in a list, each with its place."""
        value = node.get(key)
        if value is None:
            return []
        if not isinstance(value, CommentedSeq):
            self.wrong(node, key, f"{key}: expected a list")
            return []
        found = []
        for index, item in enumerate(value):
            if isinstance(item, CommentedMap):
                found.append((value, index, item))
            else:
                self.wrong(value, index, f"{key}: expected keys and values")
        return found
