"""What a sequence says, as staff would say it: every part as a label and a few words.

Two sequences read alike here only if they are alike (held by tests), so that a difference of words
is the difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nurture.domain.sequence import (
    DAYS,
    EVERY_DAY,
    Again,
    Capped,
    Condition,
    Entry,
    EntryKey,
    Hours,
    Mode,
    SequenceSpec,
    Step,
    Trigger,
    Wait,
    WaitKind,
    Window,
)

_MINUTES_A_DAY = 24 * 60
MODES: Mapping[Mode, str] = {Mode.LIVE: "live", Mode.DRY_RUN: "dry run", Mode.STOPPED: "off"}
_ASKED = {
    "attended": "attended a class meanwhile",
    "missed": "missed a class meanwhile",
    "pledged_next": "said that they come next time",
    "has_next_session": "has a next class",
    "replied": "answered meanwhile",
    "opted_out": "said stop",
    "tag": "has the tag {}",
    "language": "reads {}",
}
_OF_OPTIONS = {
    "when": "Asks whether the learner",
    "then": "If so, goes to",
    "else": "If not, goes to",
    "arms": "Splits",
    "add": "Puts on the tag",
    "remove": "Takes off the tag",
    "to": "Hands over to",
    "note": "Note",
    "reason": "Ends with the reason",
}


def duration(length: timedelta) -> str:
    """A duration as staff write it: 30 min, 2 h, 3 d."""
    minutes = round(length.total_seconds() / 60)
    if minutes and minutes % _MINUTES_A_DAY == 0:
        return f"{minutes // _MINUTES_A_DAY} d"
    return f"{minutes // 60} h" if minutes and minutes % 60 == 0 else f"{minutes} min"


def weekdays(mask: int) -> str:
    """Days of the week: Mon, Tue."""
    return ", ".join(day.capitalize() for bit, day in enumerate(DAYS) if mask >> bit & 1)


def wait(said: Wait) -> str:
    """When a step is due; local times are the learner's."""
    match said.kind:
        case WaitKind.AT:
            on = f" on {weekdays(said.days)}" if said.days != EVERY_DAY else ""
            return f"at {said.at:%H:%M} their time{_days_on(said.plus_days)}{on}"
        case WaitKind.BEFORE_NEXT_SESSION:
            past = "skipped" if said.if_past == "skip" else "sent at once"
            return f"{duration(said.duration)} before the next class; {past} if that is past"
        case WaitKind.UNTIL_EVENT:
            return f"until {said.event}, or after {duration(said.duration)}"
        case _:
            after = f"{duration(said.duration)} after the step before"
            return after if said.duration else "at once"


def _days_on(days: int) -> str:
    if not days:
        return ", today if still ahead"
    return ", the next day" if days == 1 else f", {days} days on"


def condition(asked: Condition) -> str:
    """A condition, said of a learner: "attended a class meanwhile and not (…)"."""
    if asked.op == "is":
        return _ASKED[asked.name].format(asked.value)
    parts = [condition(part) for part in asked.parts]
    if asked.op == "not":
        return f"not ({parts[0]})"
    word = "and" if asked.op == "all" else "or"
    return "(" + f" {word} ".join(parts) + (")" if len(parts) != 1 else f" {word} nothing else)")


def window(hours: Window | None) -> str:
    """When messages may go out, on the learner's clock."""
    if hours is None:
        return "at any hour"
    on = f", {weekdays(hours.days)}" if hours.days != EVERY_DAY else ", every day"
    return f"{hours.opens:%H:%M} to {hours.closes:%H:%M} their time{on}"


def trigger(started: Trigger) -> str:
    """What starts a journey."""
    often = {0: "each time", 1: "the first in a row"}.get(
        started.times, f"{started.times} in a row"
    )
    course = "any course" if started.course == "any" else f"the course {started.course}"
    return f"{started.fact.value}, {often}, {course}"


def entry(rule: Entry) -> str:
    """Who may enter, and how often."""
    run = "one run per class" if rule.key is EntryKey.SESSION else "one run per learner"
    again = {
        Again.NEVER: "never again",
        Again.EVERY_KEY: "again each time",
        Again.AFTER: f"again after {duration(rule.again_after or timedelta(0))}",
    }[rule.again]
    return f"{run}, {again}, at most {rule.open} at a time"


def rules(spec: SequenceSpec) -> dict[str, str]:
    """What a sequence says besides its steps, label by label; what is not said is left out."""
    capped = "dropped" if spec.capped is Capped.DROP else "deferred"
    outside = "held until they open" if spec.outside_hours is Hours.HOLD else "skipped"
    cap = f"{spec.cap_per_day} a day for each learner; one too many is {capped}"
    said = {
        "Name": spec.name,
        "Mode": MODES[spec.mode],
        "Starts on": "; or ".join(trigger(one) for one in spec.triggers),
        "Entry": entry(spec.entry),
        "Hours": window(spec.window),
        "Outside the hours": outside,
        "Ends early on": ", ".join(spec.exit_when),
        "Consent": spec.category,
        "Cap": cap if spec.cap_per_day else "",
        "Priority": str(spec.priority),
        "Held out": f"{spec.holdout} %" if spec.holdout else "",
    }
    return {label: words for label, words in said.items() if words}


def step(said: Step) -> dict[str, str]:
    """What one step says, label by label; what is not said is left out."""
    words = {
        "Kind": said.kind.value,
        "Switch": "on" if said.enabled else "off",
        "Wait": wait(said.wait),
        "Only if the learner": condition(said.when) if said.when else "",
        **{_OF_OPTIONS[name]: _option(value) for name, value in said.options.items()},
        "Text": said.text,
        **{f"Text in {code}": text for code, text in sorted(said.texts.items())},
        "Buttons": _buttons(said),
        "Of use for": duration(said.expires) if said.expires is not None else "",
    }
    return {label: text for label, text in words.items() if text}


def _option(value: Any) -> str:
    if isinstance(value, Condition):
        return condition(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {weight}" for key, weight in value.items())
    return str(value)


def _buttons(said: Step) -> str:
    rows = ("  ".join(f"[{text}] → {action}" for text, action in row) for row in said.buttons)
    return "\n".join(rows)
