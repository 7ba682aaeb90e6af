"""A psycopg connection of the sender's own: where to, how long to wait, what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import psycopg
from django.db import connection as django_connection

ANSWER_SECONDS = 10.0  # for an answer of the database, which gives a statement up before
_LIBPQ_OPTIONS = frozenset({"host", "sslmode", "sslrootcert", "connect_timeout", "passfile"})


def parameters() -> dict[str, Any]:
    """Where Django's database is, for a psycopg connection of our own (tests use another name)."""
    config = django_connection.settings_dict
    known = {
        "dbname": config["NAME"],
        "user": config["USER"],
        "password": config["PASSWORD"],
        "host": config["HOST"],
        "port": config["PORT"],
    }
    options = {k: v for k, v in config["OPTIONS"].items() if k in _LIBPQ_OPTIONS}
    # Whoever is cut off in the middle of a claim holds the gate's row no longer than five seconds.
    return {
        **{key: value for key, value in known.items() if value},
        **options,
        "application_name": "telbot-sender",
        "tcp_user_timeout": 20_000,
        "options": "-c statement_timeout=8s -c lock_timeout=5s"
        " -c idle_in_transaction_session_timeout=5s",
    }


@asynccontextmanager
async def answering() -> AsyncIterator[None]:
    """An answer that does not come is a lost connection: a black hole acknowledges every byte.

    psycopg asks the server to cancel first, for 10 s at most, so nobody waits for longer than 20 s.
    Raises psycopg.OperationalError after ANSWER_SECONDS.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            yield
    except TimeoutError as error:
        raise psycopg.OperationalError("the database does not answer") from error


@cache
def packed(sql: str) -> bytes:
    """Without its line breaks: the driver reads a statement over 4 kB anew each time."""
    return " ".join(sql.split()).encode()
