"""Waits and conditions as the tables keep them: plain JSON values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any

from nurture.domain.sequence import EVERY_DAY, Condition, Wait, WaitKind

Json = dict[str, Any]


def wait_to_json(wait: Wait) -> Json:
    """A wait as JSON; what has its default is left out."""
    stored: Json = {"kind": wait.kind.value}
    if wait.duration:
        stored["seconds"] = round(wait.duration.total_seconds())
    if wait.at is not None:
        stored |= {"at": wait.at.isoformat("minutes"), "plus_days": wait.plus_days}
    if wait.days != EVERY_DAY:
        stored["days"] = wait.days
    if wait.kind is WaitKind.BEFORE_NEXT_SESSION:
        stored["if_past"] = wait.if_past
    if wait.event:
        stored["event"] = wait.event
    return stored


def wait_from_json(stored: Mapping[str, Any]) -> Wait:
    """The wait that `wait_to_json` stored; an empty mapping is no wait."""
    return Wait(
        kind=WaitKind(stored.get("kind", WaitKind.AFTER)),
        duration=timedelta(seconds=stored.get("seconds", 0)),
        at=time.fromisoformat(stored["at"]) if "at" in stored else None,
        plus_days=stored.get("plus_days", 0),
        days=stored.get("days", EVERY_DAY),
        if_past=stored.get("if_past", "skip"),
        event=stored.get("event", ""),
    )


def condition_to_json(condition: Condition) -> Json:
    """A condition as JSON."""
    stored: Json = {"op": condition.op}
    if condition.name:
        stored["name"] = condition.name
    if condition.value:
        stored["value"] = condition.value
    if condition.parts:
        stored["parts"] = [condition_to_json(part) for part in condition.parts]
    return stored


def condition_from_json(stored: Mapping[str, Any]) -> Condition:
    """The condition that `condition_to_json` stored."""
    return Condition(
        op=stored["op"],
        name=stored.get("name", ""),
        value=stored.get("value", ""),
        parts=tuple(condition_from_json(part) for part in stored.get("parts", ())),
    )


def options_to_json(options: Mapping[str, Any]) -> Json:
    """The options of a step; a branch's condition is among them."""
    return {
        name: condition_to_json(value) if isinstance(value, Condition) else value
        for name, value in options.items()
    }


def options_from_json(stored: Mapping[str, Any]) -> Json:
    """The options that `options_to_json` stored."""
    return {
        name: condition_from_json(value) if name == "when" else value
        for name, value in stored.items()
    }
