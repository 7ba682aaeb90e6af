"""Whether, and when, a learner is asked before a class if they come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from zoneinfo import ZoneInfo

from nurture.domain.reasons import Reason
from nurture.domain.schedule import Quiet, next_opening
from nurture.domain.sequence import EVERY_DAY, Window

#: Nobody is asked at night, whatever their quiet hours are.
HOURS = Window(opens=time(8), closes=time(21), days=EVERY_DAY)


@dataclass(frozen=True, kw_only=True)
class Ask:
    """Ask, at this instant (UTC)."""

    due_at: datetime


def judge(
    *,
    off: Reason | None,
    silent: Reason | None,
    is_known: bool,
    asks_from: datetime,
    starts_at: datetime,
    zone: ZoneInfo,
    quiet: Quiet | None,
    now: datetime,
) -> Ask | Reason:
    """Ask at the first decent hour from `asks_from` on, or say why not.

    `off`: why nurture does not act for the learner. `silent`: why nothing may be sent to them.
    `is_known`: whether there is a pledge. A question that could only go out when the class has
    begun is not asked.
    """
    if off is not None:
        return off
    if silent is not None:
        return silent
    if is_known:
        return Reason.PLEDGE_KNOWN
    at = next_opening(max(now, asks_from), window=HOURS, quiet=quiet, zone=zone)
    if at is None or at >= starts_at:
        return Reason.TOO_LATE_TO_ASK
    return Ask(due_at=at)
