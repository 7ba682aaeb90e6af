"""What a sequence says: plain values, as a file gives them and as the tables keep them.

This module knows neither YAML nor the database; `sequence_files` reads files into these values,
`services.sequences` keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum
from typing import Any

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EVERY_DAY = 0b1111111


class Fact(StrEnum):
    """What attendance may say of a learner and a class."""

    ATTENDED = "attended"
    LATE = "late"
    LEFT_EARLY = "left_early"
    PARTIAL = "partial"
    MISSED = "missed"
    MISSED_PLEDGED = "missed_pledged"
    FIRST_ATTENDED = "first_attended"
    RETURNED = "returned"


class EntryKey(StrEnum):
    """What one run belongs to."""

    SESSION = "session"  # one run per class that caused it
    LEARNER = "learner"  # one run per learner


class Again(StrEnum):
    """Whether somebody may enter again."""

    NEVER = "never"
    EVERY_KEY = "every key"
    AFTER = "after"  # a duration after the previous journey's start


class StepKind(StrEnum):
    """What a step does."""

    MESSAGE = "message"
    WAIT = "wait"
    BRANCH = "branch"
    SPLIT = "split"
    TAG = "tag"
    HANDOVER = "handover"
    EXIT = "exit"


class WaitKind(StrEnum):
    """What a step waits for."""

    AFTER = "after"
    AT = "at"
    BEFORE_NEXT_SESSION = "before_next_session"
    UNTIL_EVENT = "until_event"


class Mode(StrEnum):
    """Whether a sequence acts."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    STOPPED = "stopped"


class Hours(StrEnum):
    """What becomes of a message whose moment lies outside window or quiet hours."""

    HOLD = "hold"  # it goes out when they open
    SKIP = "skip"  # its step is passed over


class Capped(StrEnum):
    """What becomes of a message that is one too many for its learner."""

    DROP = "drop"
    DEFER = "defer"  # it waits until there is room again


class InFlight(StrEnum):
    """What becomes of journeys under way when a new version is published."""

    FINISH = "finish"  # they end as they began
    MOVE = "move"  # they change over at the next step that both versions have
    EXIT = "exit"  # they end


@dataclass(frozen=True, kw_only=True)
class Wait:
    """When a step is due, counted from the settling of the step before it."""

    kind: WaitKind = WaitKind.AFTER
    #: `after`: this long; `before_next_session`: this long before it; `until_event`: at most this.
    duration: timedelta = timedelta(0)
    at: time | None = None  # `at`: this local time
    plus_days: int = 0  # `at`: this many calendar days later
    days: int = EVERY_DAY  # `at`: on the first of these weekdays from then on; bit 0 = Monday
    if_past: str = "skip"  # `before_next_session`: skip | send
    event: str = ""  # `until_event`


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A tree over the closed list of conditions.

    `op` is `is` (a leaf: `name`, and `value` for tag and language), `not`, `all` or `any`.
    """

    op: str
    name: str = ""
    value: str = ""
    parts: tuple[Condition, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Window:
    """When messages may go out, in the contact's zone; crosses midnight where opens ≥ closes."""

    opens: time
    closes: time
    days: int = EVERY_DAY  # bit 0 = Monday


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Who may enter, and how often."""

    key: EntryKey = EntryKey.SESSION
    again: Again = Again.EVERY_KEY
    again_after: timedelta | None = None
    open: int = 1


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """The fact that starts a journey; with `times`, when exactly so many in a row have it."""

    fact: Fact
    course: str = "any"  # or a calendar id
    times: int = 1  # 0: each time


@dataclass(frozen=True, kw_only=True)
class Step:
    """One element of a sequence."""

    key: str
    kind: StepKind = StepKind.MESSAGE
    wait: Wait = field(default_factory=Wait)
    when: Condition | None = None
    text: str = ""
    texts: Mapping[str, str] = field(default_factory=dict)  # other languages
    buttons: tuple[tuple[tuple[str, str], ...], ...] = ()  # rows of (text, action)
    expires: timedelta | None = None
    enabled: bool = True
    #: What the other kinds need: branch {when?, then, else}, split {arms}, tag {add|remove},
    #: handover {to, note}, exit {reason}.
    options: Mapping[str, Any] = field(default_factory=dict)

    def text_for(self, language: str) -> str:
        """The text in a language: es for es-MX where there is no other, else the first one."""
        of_family = self.texts.get(language.partition("-")[0], self.text)
        return self.texts.get(language, of_family)


@dataclass(frozen=True, kw_only=True)
class SequenceSpec:
    """A whole sequence, as one version of it says."""

    slug: str
    name: str
    category: str = ""
    entry: Entry = field(default_factory=Entry)
    window: Window | None = None
    triggers: tuple[Trigger, ...] = ()
    exit_when: tuple[str, ...] = ()
    steps: Sequence[Step] = ()
    priority: int = 100
    cap_per_day: int | None = None
    capped: Capped = Capped.DROP
    outside_hours: Hours = Hours.HOLD
    holdout: int = 0  # percent
    mode: Mode = Mode.LIVE
