"""Which backups are kept: many of late, fewer of long ago."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

#: Everything younger is kept, such as the backup before the second deploy of a day.
RECENT = timedelta(days=2)
DAYS, WEEKS, MONTHS = 7, 4, 12
_STAMP = "%Y%m%dT%H%M%SZ"


def name_of(*, environment: str, taken_at: datetime) -> str:
    """The name of a backup in the storage; sorted by name they are sorted by time."""
    return f"telbot-{environment}-{taken_at.astimezone(UTC):{_STAMP}}.zip"


def moments(*, environment: str, names: Iterable[str]) -> dict[str, datetime]:
    """The backups of an environment among these names, oldest first; other names are not ours."""
    ours = re.compile(rf"telbot-{re.escape(environment)}-(\d{{8}}T\d{{6}}Z)\.zip")
    found = {}
    for name in sorted(names):
        if match := ours.fullmatch(name):
            found[name] = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
    return found


def superfluous(*, backups: Mapping[str, datetime]) -> list[str]:
    """The names that may be deleted, oldest first.

    Kept are all within RECENT of the newest, and the newest of each of the last 7 days, 4 weeks
    (ISO) and 12 months (UTC) *that have one*: where backups stop, what is there stays.
    """
    newest_first = sorted(backups, key=lambda name: backups[name], reverse=True)
    kept: set[str] = set()
    for period, count in (("%Y-%m-%d", DAYS), ("%G-%V", WEEKS), ("%Y-%m", MONTHS)):
        kept |= _newest_of_each(newest_first, backups, period, count)
    if newest_first:
        since = backups[newest_first[0]] - RECENT
        kept |= {name for name, at in backups.items() if at >= since}
    return [name for name in reversed(newest_first) if name not in kept]


def _newest_of_each(
    names: Iterable[str], backups: Mapping[str, datetime], period: str, count: int
) -> set[str]:
    firsts: dict[str, str] = {}
    for name in names:
        firsts.setdefault(f"{backups[name]:{period}}", name)
    return set(list(firsts.values())[:count])
