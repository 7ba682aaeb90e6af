"""The time zones that may be chosen: those that Python and the database both know."""

from __future__ import annotations

from functools import cache
from zoneinfo import available_timezones

from django.db import connection


@cache
def known_zones() -> frozenset[str]:
    """The IANA names of all of them.

    The hours of a message are looked at in the database just before it goes out. A zone that only
    Python knows ("localtime" of the machine, one that is newer than the server) would fail there,
    with all that goes out together with it. Looks through some hundred files once per process.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names")
        return frozenset(available_timezones() & {name for (name,) in cursor.fetchall()})
