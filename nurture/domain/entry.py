"""Whether a learner may enter a sequence (again)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from nurture.domain.reasons import Reason
from nurture.domain.sequence import Again, Entry, EntryKey

LEARNER_KEY = "learner"


@dataclass(frozen=True, kw_only=True)
class Previous:
    """A journey of the same learner through the same sequence."""

    entry_key: str
    started_at: datetime
    is_open: bool
    slot: int | None = None


@dataclass(frozen=True, kw_only=True)
class Enter:
    """Yes: with the number of this run of its key, and the place it takes."""

    round: int
    slot: int


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """No: why, from what, and until when, where that is known."""

    reason: Reason
    inputs: Mapping[str, Any] = field(default_factory=dict)
    until: datetime | None = None


def entry_key(entry: Entry, session_id: int) -> str:
    """What a run belongs to: the class that caused it, or the learner."""
    return f"session:{session_id}" if entry.key is EntryKey.SESSION else LEARNER_KEY


def may_enter(
    entry: Entry, *, key: str, previous: Sequence[Previous], now: datetime
) -> Enter | Refuse:
    """Apply the rules for entering again, then the limit of open journeys.

    A class causes at most one run, whatever the rule says. `after` counts from the start of the
    latest journey.
    """
    same = [journey for journey in previous if journey.entry_key == key]
    refusal = _again(entry, same=same, previous=previous, now=now)
    if refusal is not None:
        return refusal
    taken = {journey.slot for journey in previous if journey.is_open}
    if len(taken) >= entry.open:
        return Refuse(reason=Reason.ALREADY_OPEN, inputs={"open": len(taken), "most": entry.open})
    slot = next(place for place in range(entry.open) if place not in taken)
    return Enter(round=len(same) + 1, slot=slot)


def _again(
    entry: Entry, *, same: Sequence[Previous], previous: Sequence[Previous], now: datetime
) -> Refuse | None:
    if not previous:
        return None
    latest = max(journey.started_at for journey in previous)
    inputs = {"latest": latest.isoformat(), "again": entry.again.value}
    of_class = entry.key is EntryKey.SESSION
    if entry.again is Again.NEVER or (same and (of_class or entry.again is Again.EVERY_KEY)):
        return Refuse(reason=Reason.ALREADY_ENTERED, inputs=inputs)
    if entry.again is Again.AFTER and entry.again_after is not None:
        until = latest + entry.again_after
        if now < until:
            return Refuse(reason=Reason.COOLING_DOWN, inputs=inputs, until=until)
    return None
