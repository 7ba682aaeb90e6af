"""Which candidate may go in which slot. No clock, no database.

Slots follow the generic cell rate algorithm: the next slot of the bot is `next_slot_at`, and each
one taken moves it by 1/rate. So any number of workers that take slots under one row lock pace
exactly together. All instants here are those of the real clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: Never hand out more than this much work in one claim.
HORIZON = timedelta(seconds=2)
MAX_BATCH = 60
#: What is put off is looked at a little before its chat is free, so that it is there in time.
LOOK_EARLIER = timedelta(milliseconds=100)
#: A chat is free a few seconds after its last slot. Where it seems to be busy for longer than this,
#: the database's clock was put back meanwhile, and nobody is to wait until it has caught up.
CLOCK_WENT_BACK = timedelta(minutes=1)
#: From here on the limiter counts as switched off: nobody waits for a slot, none is ever missed.
UNPACED_RATE = 1000.0
#: Near Telegram's limit of about 30 a second a late sender may not be late by much.
TIGHT_RATE = 28.0
LATENESS = timedelta(milliseconds=100)
TIGHT_LATENESS = timedelta(milliseconds=30)
#: What a 429 makes of the rate: so much of it, but no less than so many a second.
SLOWER, SLOWEST = 0.8, 5.0


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A due delivery that a claim looks at."""

    delivery_id: int
    chat_id: int
    #: When its chat may have its next message.
    chat_free_at: datetime
    #: Another delivery of its chat is in flight.
    chat_busy: bool
    #: How long the one before it in its chat still waits to be looked at (below zero:
    #: it may be claimed already); None where it is the chat's earliest.
    behind: timedelta | None
    #: The pause between two messages of its chat, allowed lateness included, so that a late first
    #: message cannot come too close to the next one.
    spacing: timedelta


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One delivery's moment."""

    delivery_id: int
    chat_id: int
    at: datetime


@dataclass(frozen=True, kw_only=True)
class PutOff:
    """A delivery whose chat is not free: look again after `wait`."""

    delivery_id: int
    wait: timedelta


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a claim writes."""

    slots: tuple[Slot, ...]
    put_off: tuple[PutOff, ...]
    next_slot_at: datetime


def allowed_lateness(rate: float) -> timedelta | None:
    """How late a slot may be used; None where the limiter is off.

    A sliding second holds at most rate × (1 + lateness) + 1 sends, so near 30 it must be small.
    """
    if rate >= UNPACED_RATE:
        return None
    return TIGHT_LATENESS if rate >= TIGHT_RATE else LATENESS


def room(*, now: datetime, next_slot_at: datetime, rate: float, most: int = MAX_BATCH) -> int:
    """How many slots may be handed out at `now`.

    None while more than half a horizon is out already: otherwise every worker would claim single
    rows all the time.
    """
    out = next_slot_at - now
    if out > HORIZON / 2:
        return 0
    free = HORIZON - max(out, timedelta(0))
    return max(1, min(most, math.ceil(free.total_seconds() * rate)))


def plan(
    candidates: Sequence[Candidate], *, most: int, now: datetime, base: datetime, rate: float
) -> Plan:
    """Give slots from `base` on, in the order of `candidates`; put off whose chat is not free.

    At most one delivery of a chat per claim, and it must be the earliest that the chat waits for:
    however late a worker looks, nobody overtakes what was put off before. A chat must be free
    `now`, though its slot comes later.
    """
    gap = timedelta(seconds=1 / rate)
    slots: list[Slot] = []
    put_off: list[PutOff] = []
    taken: set[int] = set()
    queued: dict[int, timedelta] = {}
    at = base
    for candidate in candidates:
        chat = candidate.chat_id
        if candidate.behind is not None or chat in taken:
            queued[chat] = _ahead(candidate, queued=queued) + candidate.spacing
            wait = queued[chat] - LOOK_EARLIER
            put_off.append(PutOff(delivery_id=candidate.delivery_id, wait=wait))
            continue
        free_at = _free_at(candidate, base=base, now=now)
        if free_at > now:
            wait = max(free_at - now - LOOK_EARLIER, timedelta(0))
            put_off.append(PutOff(delivery_id=candidate.delivery_id, wait=wait))
            taken.add(chat)
        elif len(slots) < most:
            slots.append(Slot(delivery_id=candidate.delivery_id, chat_id=chat, at=at))
            taken.add(chat)
            at += gap
    return Plan(slots=tuple(slots), put_off=tuple(put_off), next_slot_at=at)


def _ahead(candidate: Candidate, *, queued: Mapping[int, timedelta]) -> timedelta:
    """How long until the one before it in its chat is looked at."""
    waits = (candidate.behind, queued.get(candidate.chat_id), timedelta(0))
    return max(wait for wait in waits if wait is not None)


def _free_at(candidate: Candidate, *, base: datetime, now: datetime) -> datetime:
    free_at = candidate.chat_free_at
    if free_at > max(base, now) + candidate.spacing + CLOCK_WENT_BACK:
        free_at = now
    return max(free_at, base + candidate.spacing) if candidate.chat_busy else free_at
