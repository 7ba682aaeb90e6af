"""When each step would come for one made-up learner: what staff read beside a step they write."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from nurture.domain.schedule import NoSession, Past, UntilEvent, due_at, next_opening
from nurture.domain.sequence import Hours, SequenceSpec, Step, StepKind


@dataclass(frozen=True, kw_only=True)
class Coming:
    """The moment of one step (UTC), or why it does not come; `latest`: it may come earlier."""

    at: datetime | None = None
    why: str = ""
    latest: bool = False


def coming(
    spec: SequenceSpec, *, now: datetime, zone: ZoneInfo, next_session: datetime
) -> Iterator[Coming]:
    """Each step in order, for somebody who enters `now`, is never quiet, and meets no condition
    that would pass a step over. `next_session` is the start of the class ahead.
    """
    anchor = now
    for step in spec.steps:
        found = _one(step, spec, anchor=anchor, zone=zone, next_session=next_session)
        anchor = found.at or anchor
        yield found


def _one(
    step: Step, spec: SequenceSpec, *, anchor: datetime, zone: ZoneInfo, next_session: datetime
) -> Coming:
    if not step.enabled:
        return Coming(why="switched off")
    due = due_at(step.wait, anchor=anchor, zone=zone, next_session=next_session, now=anchor)
    if isinstance(due, NoSession):
        return Coming(why="the next class is over by then")
    if isinstance(due, Past):
        return Coming(why="passed over: its moment is past")
    found = _sent(step, spec, due.at, zone)
    if isinstance(due, UntilEvent):
        return Coming(at=found.at, why=found.why, latest=True)
    return found


def _sent(step: Step, spec: SequenceSpec, at: datetime, zone: ZoneInfo) -> Coming:
    """Only messages wait for the window."""
    if step.kind is not StepKind.MESSAGE:
        return Coming(at=at)
    opening = next_opening(at, window=spec.window, quiet=None, zone=zone)
    if opening is None:
        return Coming(why="the window never opens")
    if opening > at and spec.outside_hours is Hours.SKIP:
        return Coming(why="passed over: outside the window")
    return Coming(at=opening)
