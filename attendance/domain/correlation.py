"""Which classes was a call? One call can be a part of one class, or run through several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from attendance.domain.intervals import clip, length
from attendance.domain.kinds import MatchRule

# People come early and stay on; a call without an event id is looked for in this margin.
BEFORE = timedelta(minutes=30)
AFTER = timedelta(minutes=60)
# A call that holds this share of a neighbouring class on the same link was that class, too.
CONTINUED_FROM = 0.5
# Two classes at the same time on one link whose overlaps differ by less than this: ask a person.
TOO_CLOSE = 0.2


@dataclass(frozen=True)
class PlannedClass:
    """A class as planned: [starts_at, ends_at)."""

    pk: int
    event_id: str
    recurring_event_id: str
    meeting_code: str
    starts_at: datetime
    ends_at: datetime
    cancelled: bool = False
    organizer: str = ""


@dataclass(frozen=True)
class Call:
    """A call as the log shows it, from the first join to the last leave."""

    pk: int
    meeting_code: str
    event_ids: frozenset[str]
    starts_at: datetime
    ends_at: datetime
    organizer: str = ""


@dataclass(frozen=True)
class Correlation:
    """The classes that a call was, each with its rule; or those between which a person decides."""

    rules: Mapping[int, MatchRule]
    ambiguous: tuple[int, ...] = ()


def correlate(*, call: Call, classes: Sequence[PlannedClass], own_domain: str = "") -> Correlation:
    """Find the classes of a call.

    The event id is certain, also for an instance that was moved: it keeps the stamp of its
    first plan, so the stamp says nothing. Without it, link and overlap decide, unless the call
    names another event or was somebody else's (neither of the class's organiser's domain nor
    of `own_domain`): then a person does.
    """
    named = [planned for planned in classes if planned.event_id in call.event_ids]
    held = [planned for planned in named if not planned.cancelled]
    if named and not held:
        return Correlation({})
    rules = {planned.pk: MatchRule.EVENT_ID for planned in held}
    same_link = [
        planned for planned in classes if not planned.cancelled and _on_same_link(call, planned)
    ]
    if not rules:
        best = _best_overlap(call, same_link)
        if len(best) > 1 or any(_is_doubtful(call, planned, own_domain) for planned in best):
            return Correlation({}, tuple(sorted(planned.pk for planned in best)))
        rules = {planned.pk: _rule(call, planned) for planned in best}
    for planned in same_link:
        if rules and planned.pk not in rules and _share_held(call, planned) >= CONTINUED_FROM:
            rules[planned.pk] = MatchRule.CONTINUED
    return Correlation(rules)


def _is_doubtful(call: Call, planned: PlannedClass, own_domain: str) -> bool:
    """A link may be borrowed: by another event, or by somebody else."""
    other_event = bool(call.event_ids) and planned.recurring_event_id not in call.event_ids
    return other_event or _is_foreign(call, planned, own_domain)


def _is_foreign(call: Call, planned: PlannedClass, own_domain: str) -> bool:
    theirs = _domain(call.organizer)
    ours = {own_domain.lower(), _domain(planned.organizer)} - {""}
    return bool(theirs and ours) and theirs not in ours


def _domain(email: str) -> str:
    return email.rpartition("@")[2].lower()


def _on_same_link(call: Call, planned: PlannedClass) -> bool:
    same_code = bool(call.meeting_code) and planned.meeting_code == call.meeting_code
    return same_code or planned.recurring_event_id in call.event_ids


def _rule(call: Call, planned: PlannedClass) -> MatchRule:
    by_master = planned.recurring_event_id in call.event_ids
    return MatchRule.RECURRING_ID if by_master else MatchRule.CODE


def _share_held(call: Call, planned: PlannedClass) -> float:
    inside = clip([(call.starts_at, call.ends_at)], start=planned.starts_at, end=planned.ends_at)
    return length(inside) / (planned.ends_at - planned.starts_at)


def _best_overlap(call: Call, classes: Sequence[PlannedClass]) -> list[PlannedClass]:
    """Return the one class that overlaps most, several if they cannot be told apart, or none."""
    overlaps = {planned: _overlap(call, planned, classes) for planned in classes}
    most = max(overlaps.values(), default=timedelta())
    if not most:
        return []
    best = max(overlaps, key=lambda planned: (overlaps[planned], -planned.pk))
    rivals = [
        planned
        for planned in classes
        if planned.starts_at < best.ends_at
        and best.starts_at < planned.ends_at
        and overlaps[planned] >= most * (1 - TOO_CLOSE)
    ]
    return rivals if len(rivals) > 1 else [best]


def _overlap(call: Call, planned: PlannedClass, classes: Sequence[PlannedClass]) -> timedelta:
    """Measure in the class with its margins; a gap to a neighbour is split in its middle."""
    opens, closes = planned.starts_at - BEFORE, planned.ends_at + AFTER
    for other in classes:
        if other.ends_at <= planned.starts_at:
            opens = max(opens, other.ends_at + (planned.starts_at - other.ends_at) / 2)
        elif other.starts_at >= planned.ends_at:
            closes = min(closes, planned.ends_at + (other.starts_at - planned.ends_at) / 2)
    return length(clip([(call.starts_at, call.ends_at)], start=opens, end=closes))
