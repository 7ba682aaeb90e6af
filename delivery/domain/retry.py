"""When to try again: equal jitter, so that retries neither bunch up nor collapse to zero."""

from __future__ import annotations

from datetime import timedelta

FIRST = timedelta(seconds=1)
LONGEST = timedelta(minutes=1)
MAX_ATTEMPTS = 8
#: Workers that died while they held it: once in company, which says nothing, twice alone.
MAX_DEATHS = 3


def backoff(*, attempts: int, fraction: float) -> timedelta:
    """The wait after `attempts` tries (1 or more).

    Doubles from one second to one minute; half of it is certain, the other half is `fraction` of
    the rest (0 to 1, drawn by the caller).
    """
    base = min(LONGEST, FIRST * float(1 << min(attempts, 16)))
    return base / 2 + base / 2 * fraction


def is_exhausted(attempts: int) -> bool:
    """Whether `attempts` tries are as many as there may be. A 429 does not count as one."""
    return attempts >= MAX_ATTEMPTS
