"""The form and the file, one made of the other.

A file is read into what stands in the form; what stands in the form is written as a file, which the
same reader reads as any other (nurture/sequence_files.py). So nothing here judges: each problem
comes from the reader, with the line of the file, and `Draft.problems` says of which field it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ruamel.yaml import YAML

from nurture.admin.editor.state import State, chosen, numbered, part, rows, said
from nurture.domain.sequence import StepKind, WaitKind

GROUPS = ("not", "all", "any")
VALUED = ("tag", "language")
_LENGTH = re.compile(r"(.*?)([mhd]?)\Z", re.DOTALL)


# --- file → form --------------------------------------------------------------------------------


def state_of(source: str) -> State:
    """What the form shows of a file in its canonical form."""
    file = YAML(typ="safe", pure=True).load(source)
    texts = file.get("languages", {})
    return {
        **{name: str(file.get(name, "")) for name in _PLAIN},
        "languages": ", ".join(texts),
        "entry": _entry(file["entry"]),
        "window": {
            **_times(file.get("window", {})),
            "days": file.get("window", {}).get("days", []),
        },
        "cap": {name: str(file.get("cap", {}).get(name, "")) for name in ("per_day", "then")},
        "triggers": numbered(
            {name: str(value) for name, value in row.items()} for row in file["triggers"]
        ),
        "exit_when": file.get("exit_when", []),
        "steps": numbered(_step(step, texts) for step in file["steps"]),
    }


_PLAIN = ("sequence", "name", "category", "outside_hours", "priority", "holdout", "mode")


def _entry(entry: Mapping[str, Any]) -> State:
    again = entry["again"]
    after = again.removeprefix("after ") if again.startswith("after ") else ""
    return {
        "key": entry["key"],
        "again": "after" if after else again,
        "after": _length(after or "7d"),
        "open": str(entry["open"]),
    }


def _times(hours: Mapping[str, Any]) -> State:
    return {name: hours.get(name, "") for name in ("opens", "closes")}


def _step(step: Mapping[str, Any], texts: Mapping[str, Mapping[str, str]]) -> State:
    key = step["key"]
    kind = step.get("kind", StepKind.MESSAGE.value)
    state: State = {
        "key": key,
        "kind": kind,
        "wait": _wait(step["wait"]),
        "when": condition_state(step.get("when", "")),
        "text": step.get("text", ""),
        "texts": {language: said.get(key, "") for language, said in texts.items()},
        "buttons": numbered(
            {"row": numbered(dict(button) for button in row)} for row in step.get("buttons", [])
        ),
        "expires": _length(step.get("expires", "")),
        "arms": numbered(
            {"to": to, "weight": str(weight)} for to, weight in step.get("arms", {}).items()
        ),
        **{name: str(step[name]) for name in _OPTIONS if name in step},
    }
    if kind == StepKind.TAG:
        tag = "remove" if "remove" in step else "add"
        state |= {"tag": {"do": tag, "name": step.get(tag, "")}}
    return state | ({"enabled": "on"} if step.get("enabled", True) else {})


_OPTIONS = ("then", "else", "to", "note", "reason")


def _wait(wait: Mapping[str, Any]) -> State:
    form = next(kind.value for kind in WaitKind if kind.value in wait)
    return {
        "form": form,
        "after": _length(wait.get("after", "0m")),
        "at": wait.get("at", ""),
        "plus_days": str(wait.get("plus_days", 0)),
        "on": wait.get("on", []),
        "before": _length(wait.get("before_next_session", "2h")),
        "if_past": wait.get("if_past", "skip"),
        "event": wait.get("until_event", ""),
        "or_after": _length(wait.get("or_after", "2d")),
    }


def _length(duration: str) -> State:
    """A duration as a number and its unit; what is none stands in the number."""
    number, unit = _LENGTH.match(duration).groups()  # type: ignore[union-attr]
    return {"number": number, "unit": unit or "h"}


def condition_state(condition: Any) -> State:
    """A condition of a file as it stands in the form."""
    if isinstance(condition, str):
        name, _, value = condition.partition(":")
        return {"is": name, "value": value}
    ((op, inner),) = condition.items()
    parts = [inner] if op == "not" else inner
    return {"is": op, "parts": numbered(condition_state(part) for part in parts)}


# --- form → file --------------------------------------------------------------------------------


def file_of(state: State) -> dict[str, Any]:
    """The file as the form has it; what is left open is left out, where that has a meaning."""
    steps = rows(state, "steps")
    file: dict[str, Any] = {
        "sequence": said(state, "sequence"),
        "name": said(state, "name"),
        **{name: said(state, name) for name in _IF_SAID if said(state, name)},
        **{name: _number(said(state, name)) for name in _NUMBERS if said(state, name)},
        "entry": _entry_of(part(state, "entry")),
        **_window_of(part(state, "window")),
        **_cap_of(part(state, "cap")),
        "triggers": [_trigger_of(row) for row in present(state, "triggers").values()],
        "exit_when": chosen(state, "exit_when"),
        "steps": [_step_of(row) for row in present(state, "steps").values()],
    }
    languages = {
        language: found
        for language in languages_of(state)
        if (found := dict(_texts_in(language, steps)))
    }
    return file | ({"languages": languages} if languages else {})


_IF_SAID = ("category", "outside_hours", "mode")
_NUMBERS = ("priority", "holdout")


def present(state: Mapping[str, Any], name: str) -> dict[str, State]:
    """The rows of a list that were not taken out."""
    return {key: row for key, row in rows(state, name).items() if not row.get("removed")}


def languages_of(state: State) -> list[str]:
    """The codes of the languages besides the first one, as typed."""
    return list(dict.fromkeys(re.findall(r"[^\s,;]+", said(state, "languages"))))


def _texts_in(language: str, steps: Mapping[str, State]) -> Iterator[tuple[str, str]]:
    for row in steps.values():
        text = part(row, "texts").get(language, "")
        if text.strip() and not row.get("removed"):
            yield said(row, "key"), text


def _number(typed: str) -> int | str:
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 10 else typed


def _length_of(state: Mapping[str, Any], name: str) -> str:
    length = part(state, name)
    return said(length, "number") + said(length, "unit")


def _entry_of(entry: State) -> dict[str, Any]:
    again = said(entry, "again")
    return {
        "key": said(entry, "key"),
        "again": f"after {_length_of(entry, 'after')}" if again == "after" else again,
        "open": _number(said(entry, "open")),
    }


def _window_of(window: State) -> dict[str, Any]:
    opens, closes = said(window, "opens"), said(window, "closes")
    if not opens and not closes:
        return {}
    days = {"days": chosen(window, "days")} if chosen(window, "days") else {}
    return {"window": {"opens": opens, "closes": closes, **days}}


def _cap_of(cap: State) -> dict[str, Any]:
    if not said(cap, "per_day"):
        return {}
    then = {"then": said(cap, "then")} if said(cap, "then") else {}
    return {"cap": {"per_day": _number(said(cap, "per_day")), **then}}


def _trigger_of(row: State) -> dict[str, Any]:
    return {
        "fact": said(row, "fact"),
        "course": said(row, "course") or "any",
        "times": _number(said(row, "times")),
    }


def _step_of(row: State) -> dict[str, Any]:
    kind = said(row, "kind") or StepKind.MESSAGE.value
    when = _condition_of(part(row, "when"))
    step: dict[str, Any] = {
        "key": said(row, "key"),
        "kind": kind,
        "enabled": bool(row.get("enabled")),
        "wait": _wait_of(part(row, "wait")),
        **({"when": when} if when != "" or kind == StepKind.BRANCH else {}),
    }
    return step | _OF_KIND.get(kind, lambda _: {})(row)


def _message(row: State) -> dict[str, Any]:
    buttons = [
        [
            {"text": said(button, "text"), "action": said(button, "action")}
            for button in rows(line, "row").values()
        ]
        for line in rows(row, "buttons").values()
        if rows(line, "row")
    ]
    expires = said(part(row, "expires"), "number")
    text = row.get("text", "")
    return {
        "text": text if isinstance(text, str) else "",
        **({"buttons": buttons} if buttons else {}),
        **({"expires": _length_of(row, "expires")} if expires else {}),
    }


def _arms(row: State) -> dict[str, Any]:
    arms = rows(row, "arms").values()
    return {"arms": {said(arm, "to"): _number(said(arm, "weight")) for arm in arms}}


def _tag(row: State) -> dict[str, Any]:
    tag = part(row, "tag")
    return {"remove" if said(tag, "do") == "remove" else "add": said(tag, "name")}


def _said(*names: str) -> Any:
    return lambda row: {name: said(row, name) for name in names if said(row, name)}


_OF_KIND: Mapping[str, Any] = {
    StepKind.MESSAGE: _message,
    StepKind.BRANCH: lambda row: {name: said(row, name) for name in ("then", "else")},
    StepKind.SPLIT: _arms,
    StepKind.TAG: _tag,
    StepKind.HANDOVER: _said("to", "note"),
    StepKind.EXIT: _said("reason"),
}


def _wait_of(wait: State) -> dict[str, Any]:
    match said(wait, "form"):
        case WaitKind.AT:
            days = {"on": chosen(wait, "on")} if chosen(wait, "on") else {}
            return {
                "at": said(wait, "at"), "plus_days": _number(said(wait, "plus_days") or "0"), **days
            }  # fmt: skip
        case WaitKind.BEFORE_NEXT_SESSION:
            return {
                "before_next_session": _length_of(wait, "before"), "if_past": said(wait, "if_past")
            }  # fmt: skip
        case WaitKind.UNTIL_EVENT:
            return {"until_event": said(wait, "event"), "or_after": _length_of(wait, "or_after")}
        case _:
            return {"after": _length_of(wait, "after")}


def _condition_of(condition: State) -> Any:
    name = said(condition, "is")
    if name not in GROUPS:
        return f"{name}:{said(condition, 'value')}" if name in VALUED else name
    parts = [_condition_of(part) for part in rows(condition, "parts").values()]
    parts = [part for part in parts if part != ""]
    if name == "not":
        return {"not": parts[0] if parts else ""}
    return {name: parts}
