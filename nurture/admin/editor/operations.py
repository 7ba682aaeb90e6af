"""What a button of the form does to what stands in it: rows come, go and change places.

Nothing is saved by that. The same happens with and without JavaScript, since the page asks here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nurture.admin.editor.state import State, numbered, part, rows, said

_LAST_NUMBER = re.compile(r"-\d+\Z")


@dataclass(frozen=True, kw_only=True)
class Done:
    """What came of a button: the words for who listens, and the field that has the focus next."""

    words: str = ""
    focus: str = ""


def operate(state: State, do: str) -> Done:
    """Carry out `up steps.3`, `add steps.3.buttons`, …; change the state in place.

    What does not exist (any more) is left alone. Safe to run twice for all but `add` and `copy`,
    which make a row each time.
    """
    verb, _, path = do.partition(" ")
    holder, _, number = path.rpartition(".")
    operation = _OPERATIONS.get(verb)
    if operation is None:
        return Done()
    if verb == "add":
        return _add(state, path)
    if number not in rows(state, holder):
        return Done(words="That row is not here any more.")
    return operation(part(state, holder), number, path)


def _up(holder: State, number: str, path: str) -> Done:
    return _move(holder, number, path, -1)


def _down(holder: State, number: str, path: str) -> Done:
    return _move(holder, number, path, 1)


def _move(holder: State, number: str, path: str, by: int) -> Done:
    """Change places with the neighbour that is still there."""
    order = list(holder)
    there = [key for key in order if not holder[key].get("removed")]
    place = there.index(number) + by if number in there else -1
    verb = "up" if by < 0 else "down"
    if not 0 <= place < len(there):
        return Done(words=f"It is {'first' if by < 0 else 'last'} already.", focus=f"{verb} {path}")
    at = order.index(there[place])
    order.remove(number)
    order.insert(at, number)
    _reorder(holder, order)
    name = said(holder[number], "key") or "It"
    return Done(words=f"{name} is number {place + 1} of {len(there)} now.", focus=f"{verb} {path}")


def _reorder(holder: State, order: list[str]) -> None:
    kept = dict(holder)
    holder.clear()
    holder.update({key: kept[key] for key in order})


def _remove(holder: State, number: str, path: str) -> Done:
    """Steps can be brought back until the page is left; smaller rows are typed again."""
    if path.startswith("steps.") and path.count(".") == 1:
        holder[number]["removed"] = "1"
        words = f"{said(holder[number], 'key')} is taken out. Undo brings it back."
        return Done(words=words, focus=f"undo {path}")
    del holder[number]
    return Done(words="Taken out.", focus=f"add {path.rpartition('.')[0]}")


def _undo(holder: State, number: str, path: str) -> Done:
    holder[number].pop("removed", None)
    return Done(words=f"{said(holder[number], 'key')} is back.", focus=f"{path}.key")


def _copy(holder: State, number: str, path: str) -> Done:
    made = copy.deepcopy(holder[number])
    if "key" in made:
        made["key"] = free_key(holder, said(made, "key"))
    new = _free_number(holder)
    order = list(holder)
    order.insert(order.index(number) + 1, new)
    holder[new] = made
    _reorder(holder, order)
    at = f"{path.rpartition('.')[0]}.{new}"
    return Done(words=f"{made.get('key', 'A copy')} is added below.", focus=f"{at}.key")


def _add(state: State, path: str) -> Done:
    """A new row at the end of a list; of what kind, its place says."""
    kind, new = _kind(path)
    if new is None:
        return Done()
    *way, last = path.split(".")
    holder: Any = state
    for name in way:
        holder = holder.get(name) if isinstance(holder, dict) else None
    if not isinstance(holder, dict):
        return Done(words="That row is not here any more.")
    if not isinstance(holder.get(last), dict):
        holder[last] = {}
    number = _free_number(holder[last])
    row = copy.deepcopy(dict(new))
    if kind == "steps":
        row["key"] = free_key(holder[last], "step")
    holder[last][number] = row
    return Done(words="A row is added.", focus=f"{path}.{number}.{_FIRST[kind]}")


def free_key(steps: Mapping[str, Any], wanted: str) -> str:
    """A key like the one that is wanted which no step has yet."""
    taken = {said(row, "key") for row in steps.values()}
    base = _LAST_NUMBER.sub("", wanted)[:56]
    numbers = (f"{base}-{number}" for number in range(2, len(taken) + 3))
    return next(key for key in (wanted, *numbers) if key not in taken)


def _free_number(holder: Mapping[str, Any]) -> str:
    return str(max((int(key) for key in holder if key.isascii() and key.isdigit()), default=0) + 1)


def _kind(path: str) -> tuple[str, State | None]:
    last = path.rpartition(".")[2]
    return last, _NEW.get(last)


_BUTTON: State = {"text": "", "action": ""}
_NEW: Mapping[str, State] = {
    "triggers": {"fact": "missed", "course": "any", "times": "1"},
    "steps": {
        "kind": "message", "enabled": "on", "text": "",
        "wait": {"form": "after", "after": {"number": "1", "unit": "d"}},
    },
    "buttons": {"row": numbered([_BUTTON])},
    "row": _BUTTON,
    "arms": {"to": "", "weight": "1"},
    "parts": {"is": ""},
}  # fmt: skip
_FIRST = {
    "triggers": "fact", "steps": "key", "buttons": "row.1.text", "row": "text", "arms": "to",
    "parts": "is",
}  # fmt: skip
_OPERATIONS: Mapping[str, Callable[[State, str, str], Done]] = {
    "up": _up, "down": _down, "remove": _remove, "undo": _undo, "copy": _copy,
    "add": lambda *_: Done(),
}  # fmt: skip
