"""Why a message goes out when it does: its wait, the hours, and the clocks of its zone (P23)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from nurture.domain.schedule import NoSession, Quiet, due_at, next_opening
from nurture.domain.sequence import Wait, WaitKind, Window

_INSTANT = timedelta(seconds=1)


class Shut(StrEnum):
    """What keeps a message back at its moment."""

    WINDOW = "window"
    QUIET = "quiet"
    BOTH = "both"


class Clocks(StrEnum):
    """What a change of the clocks does to a local time."""

    GAP = "gap"  # the time does not exist on that day: the first instant after the gap
    TWICE = "twice"  # the time comes twice on that day: the first counts


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a step is due by its wait, when it may go, and what lies between."""

    due: datetime
    goes: datetime | None  # None: the hours never open
    shut: Shut | None = None
    clocks: Clocks | None = None


def timing(
    wait: Wait,
    *,
    anchor: datetime,
    zone: ZoneInfo,
    window: Window | None,
    quiet: Quiet | None,
    next_session: datetime | None,
    now: datetime,
) -> Timing | None:
    """Take apart what the engine decides in one go; None where the wait has no moment.

    The same functions are asked as in `journey.decide`; everything is UTC.
    """
    due = due_at(wait, anchor=anchor, zone=zone, next_session=next_session, now=now)
    if isinstance(due, NoSession):
        return None
    moment = max(due.at, now)
    goes = next_opening(moment, window=window, quiet=quiet, zone=zone)
    asked = wait.at if wait.kind is WaitKind.AT else None
    shut = None
    if goes != moment:
        shut = _shut(moment, window=window, quiet=quiet, zone=zone)
        asked = None
    return Timing(
        due=moment, goes=goes, shut=shut, clocks=clocks_at(goes, zone, asked) if goes else None
    )


def _shut(moment: datetime, *, window: Window | None, quiet: Quiet | None, zone: ZoneInfo) -> Shut:
    by_window = next_opening(moment, window=window, quiet=None, zone=zone) != moment
    by_quiet = next_opening(moment, window=None, quiet=quiet, zone=zone) != moment
    if by_window and by_quiet:
        return Shut.BOTH
    return Shut.WINDOW if by_window else Shut.QUIET


def clocks_at(at: datetime, zone: ZoneInfo, asked: time | None = None) -> Clocks | None:
    """What a change of the clocks has to do with a moment; None: nothing.

    `asked`: the local time that was wanted. Without it the first instant after a gap is taken for
    one that was wanted within.
    """
    local = at.astimezone(zone)
    if local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset():
        return Clocks.TWICE if local.fold == 0 else None
    before = (at.astimezone(UTC) - _INSTANT).astimezone(zone)
    jumped = (local.utcoffset() or timedelta(0)) > (before.utcoffset() or timedelta(0))
    return Clocks.GAP if jumped and asked != local.time() else None


def shift_between(one: datetime, other: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the clocks of a zone changed from one moment to another; forward is positive."""
    offsets = [at.astimezone(zone).utcoffset() or timedelta(0) for at in (one, other)]
    return offsets[1] - offsets[0]
