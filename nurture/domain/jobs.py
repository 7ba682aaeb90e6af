"""When a job runs: at its hour, once for all that it missed, again where it came to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from nurture.domain.schedule import resolve

#: A run that failed or broke off is repeated so often before the next night.
TRIES = 3
RETRY = timedelta(minutes=15)
#: Later than this, somebody should know.
OVERDUE = timedelta(hours=1)
#: A pause is meant for a night; who pauses for longer is reminded.
FORGOTTEN = timedelta(days=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour on the school's clock, each day or on one day of the week (0 = Monday)."""

    hour: int
    weekday: int | None = None

    def after(self, now: datetime, zone: ZoneInfo) -> datetime:
        """The first such moment after `now`. An hour that a clock change leaves out is the instant
        after it; one that comes twice is taken once."""
        day = now.astimezone(zone).date()
        while True:
            if self.weekday in {None, day.weekday()}:
                at = resolve(day, time(self.hour), zone)
                if at > now:
                    return at
            day += _DAY


def next_run(*, hour: Hour, good: bool, tries: int, now: datetime, zone: ZoneInfo) -> datetime:
    """When a job whose run has just ended is due again; `tries`: how many came to nothing by now.

    Reckoned from now, so that nights on which everything was down are made up for by one run.
    """
    regular = hour.after(now, zone)
    if good or tries >= TRIES:
        return regular
    return min(regular, now + RETRY * tries)
