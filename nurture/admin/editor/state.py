"""What stands in the form, as it was typed: a tree of texts, and nothing that was understood of it.

A path such as `steps.3.wait.after` names one field, in the page and here. What one can have several
of is a dictionary of rows by their number; their order is their order in it, so that moving a row
renames nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict

#: Rows and parts by name; a field is a text, one with several choices a list of texts.
State = dict[str, Any]
DEEPEST = 24  # names of one path; nobody nests conditions so deep


def from_fields(fields: MultiValueDict[str, str]) -> State:
    """The tree of what a form sent. Line ends are as on our side; odd names are passed over."""
    state: State = {}
    for name in fields:
        *way, last = name.split(".")
        values = [value.replace("\r\n", "\n").replace("\0", "") for value in fields.getlist(name)]
        inner = _inner(state, way) if len(way) < DEEPEST else None
        if values and inner is not None and not isinstance(inner.get(last), dict):
            inner[last] = values if last in MANY else values[-1]
    return state


#: Fields with any number of choices.
MANY = frozenset({"exit_when", "days", "on"})


def _inner(state: State, way: Iterable[str]) -> State | None:
    found: Any = state
    for name in way:
        found = found.setdefault(name, {})
        if not isinstance(found, dict):
            return None
    return found


def fields_of(state: Mapping[str, Any], prefix: str = "") -> MultiValueDict[str, str]:
    """The fields of a tree, by their paths."""
    fields: MultiValueDict[str, str] = MultiValueDict()
    for path, value in _leaves(state, prefix):
        fields.setlist(path, value if isinstance(value, list) else [value])
    return fields


def _leaves(state: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def part(state: Mapping[str, Any], path: str) -> State:
    """The rows or parts at a path; an empty one where there are none."""
    found: Any = state
    for name in path.split(".") if path else ():
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def said(state: Mapping[str, Any], name: str) -> str:
    """The text of a field without the spaces around it; "" where there is none."""
    value = state.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def chosen(state: Mapping[str, Any], name: str) -> list[str]:
    """The choices of a field that has several."""
    value = state.get(name, [])
    return [one for one in value if one] if isinstance(value, list) else []


def rows(state: Mapping[str, Any], name: str) -> dict[str, State]:
    """The rows of a list by their number, in order."""
    return {key: row for key, row in part(state, name).items() if isinstance(row, dict)}


def numbered(items: Iterable[Any]) -> State:
    """Items as rows."""
    return {str(number): item for number, item in enumerate(items, start=1)}
