"""What time it is for the business: the database's clock, or a simulated moment.

Leases, slots and gates never ask here: they protect real receivers and real processes, so they use
the real clock. See docs/architecture.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.conf import settings
from django.db import connection

SETTING = "telbot.now"


class SimulationError(RuntimeError):
    """A simulated clock exists only where ENVIRONMENT is local."""


def now() -> datetime:
    """The present moment, UTC: SELECT telbot_now()."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT telbot_now()")
        moment: datetime = cursor.fetchone()[0]
    return moment


@contextmanager
def simulated(at: datetime) -> Iterator[None]:
    """Let `telbot_now()` stand still at `at` on this connection, then return to what it was.

    Raises SimulationError outside ENVIRONMENT=local, ValueError without a zone.
    """
    if settings.ENVIRONMENT != "local":
        raise SimulationError("a simulated clock exists only where ENVIRONMENT is local")
    if at.tzinfo is None:
        raise ValueError("a moment needs a zone")
    before = _set(at.isoformat())
    try:
        yield
    finally:
        _set(before)


def _set(value: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting(%s, true), '')", [SETTING])
        before: str = cursor.fetchone()[0]
        cursor.execute("SELECT set_config(%s, %s, false)", [SETTING, value])
    return before
