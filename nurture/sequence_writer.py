"""The canonical file of a sequence: the same sequence always gives the same bytes."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from nurture.domain.sequence import (
    DAYS,
    EVERY_DAY,
    Again,
    Condition,
    Entry,
    Mode,
    SequenceSpec,
    Step,
    StepKind,
    Wait,
    WaitKind,
    Window,
)

WIDTH = 1_000_000  # never fold a line: texts keep theirs


def write(spec: SequenceSpec) -> str:
    """The file of a sequence; what has its default is left out."""
    return dump(_root(spec))


def dump(root: dict[str, Any]) -> str:
    """Keys and values as YAML."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = WIDTH
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=4, offset=2)
    target = io.StringIO()
    yaml.dump(root, target)
    return target.getvalue()


def _root(spec: SequenceSpec) -> dict[str, Any]:
    root: dict[str, Any] = {"sequence": spec.slug, "name": line(spec.name)}
    root |= {"category": spec.category} if spec.category else {}
    root["entry"] = _entry(spec.entry)
    root |= {"window": _window(spec.window)} if spec.window else {}
    if spec.outside_hours is not SequenceSpec.outside_hours:
        root["outside_hours"] = spec.outside_hours.value
    root |= {"priority": spec.priority} if spec.priority != SequenceSpec.priority else {}
    root |= {"cap": _cap(spec)} if spec.cap_per_day else {}
    root |= {"holdout": spec.holdout} if spec.holdout else {}
    root |= {"mode": spec.mode.value} if spec.mode is not Mode.LIVE else {}
    root["triggers"] = [
        {
            "fact": trigger.fact.value,
            "course": line(trigger.course),
            "times": trigger.times or "any",
        }
        for trigger in spec.triggers
    ]
    root |= {"exit_when": list(spec.exit_when)} if spec.exit_when else {}
    root["steps"] = [_step(step) for step in spec.steps]
    languages = sorted({language for step in spec.steps for language in step.texts})
    if languages:
        root["languages"] = {
            language: {
                step.key: _text(step.texts[language])
                for step in spec.steps
                if language in step.texts
            }
            for language in languages
        }
    return root


def _entry(entry: Entry) -> dict[str, Any]:
    again = entry.again.value
    if entry.again is Again.AFTER and entry.again_after is not None:
        again = f"after {_duration(entry.again_after)}"
    return {"key": entry.key.value, "again": again, "open": entry.open}


def _window(window: Window) -> dict[str, Any]:
    hours: dict[str, Any] = {
        "opens": f"{window.opens:%H:%M}",
        "closes": f"{window.closes:%H:%M}",
    }
    if window.days != EVERY_DAY:
        hours["days"] = _days(window.days)
    return hours


def _days(mask: int) -> list[str]:
    return [day for bit, day in enumerate(DAYS) if mask >> bit & 1]


def _cap(spec: SequenceSpec) -> dict[str, Any]:
    then = {"then": spec.capped.value} if spec.capped is not SequenceSpec.capped else {}
    return {"per_day": spec.cap_per_day, **then}


def _step(step: Step) -> dict[str, Any]:
    node: dict[str, Any] = {"key": step.key}
    node |= {"kind": step.kind.value} if step.kind is not StepKind.MESSAGE else {}
    node |= {"enabled": False} if not step.enabled else {}
    node["wait"] = _wait(step.wait)
    node |= {"when": _condition(step.when)} if step.when is not None else {}
    for name, value in step.options.items():
        node[name] = _option(value)
    node |= {"text": _text(step.text)} if step.text else {}
    if step.buttons:
        node["buttons"] = [
            [{"text": line(text), "action": action} for text, action in row] for row in step.buttons
        ]
    node |= {"expires": _duration(step.expires)} if step.expires is not None else {}
    return node


def _option(value: Any) -> Any:
    if isinstance(value, Condition):
        return _condition(value)
    return line(value) if isinstance(value, str) else value


def _wait(wait: Wait) -> dict[str, Any]:
    match wait.kind:
        case WaitKind.AT:
            days = {"on": _days(wait.days)} if wait.days != EVERY_DAY else {}
            return {"at": f"{wait.at:%H:%M}", "plus_days": wait.plus_days, **days}
        case WaitKind.BEFORE_NEXT_SESSION:
            return {"before_next_session": _duration(wait.duration), "if_past": wait.if_past}
        case WaitKind.UNTIL_EVENT:
            return {"until_event": wait.event, "or_after": _duration(wait.duration)}
        case _:
            return {"after": _duration(wait.duration)}


def _duration(duration: timedelta) -> str:
    minutes = round(duration.total_seconds() / 60)
    if minutes and minutes % (24 * 60) == 0:
        return f"{minutes // (24 * 60)}d"
    return f"{minutes // 60}h" if minutes and minutes % 60 == 0 else f"{minutes}m"


def _condition(condition: Condition) -> Any:
    if condition.op == "is":
        return line(f"{condition.name}:{condition.value}" if condition.value else condition.name)
    parts = [_condition(part) for part in condition.parts]
    return {condition.op: parts[0] if condition.op == "not" else parts}


def _text(text: str) -> str:
    """Lines as a block where a block keeps every character, else in quotes with escapes."""
    lines = text.split("\n")
    kept = all(one.isprintable() and one == one.strip() for one in lines)
    if len(lines) > 1 and lines[0] and kept:
        block: str = LiteralScalarString(text + "\n")
        return block
    return line(text)


def line(text: str) -> str:
    """Quotes where a plain scalar would change: other line breaks, tabs, edges."""
    plain = text.isprintable() and text == text.strip()
    return text if plain else DoubleQuotedScalarString(text)
