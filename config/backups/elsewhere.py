"""A throw-away database on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connections
from psycopg import sql

from config.backups.catalogue import own_connection

_ALIAS = "default"


class NoDatabaseError(Exception):
    """No database could be made; the message says what to do."""


@contextmanager
def throw_away_database(suffix: str) -> Iterator[None]:
    """Make an empty database beside this one and work in it for the block; then it is dropped.

    Everything of this thread that asks Django for the database gets that one. What a killed
    predecessor left is replaced; one that still works is not disturbed (NoDatabaseError).
    """
    usual = connections[_ALIAS]
    name = f"{str(usual.settings_dict['NAME'])[:40]}_{suffix}"
    with own_connection(autocommit=True) as server:
        _make(server, name)
        other = usual.copy()
        other.settings_dict["NAME"] = name
        connections[_ALIAS] = other
        try:
            yield
        finally:
            other.close()
            connections[_ALIAS] = usual
            _say(server, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


def _make(server: psycopg.Connection[tuple[object, ...]], name: str) -> None:
    try:
        _say(server, "DROP DATABASE IF EXISTS {}", name)
        _say(server, "CREATE DATABASE {}", name)
    except psycopg.errors.InsufficientPrivilege:
        raise NoDatabaseError(
            "This database role may not make databases (ALTER ROLE … CREATEDB), so nothing was "
            "rehearsed. Set DATABASE_URL to an empty database elsewhere and restore there."
        ) from None
    except psycopg.errors.ObjectInUse:
        raise NoDatabaseError(f"The database {name} is in use: another one rehearses.") from None


def _say(server: psycopg.Connection[tuple[object, ...]], statement: str, name: str) -> None:
    server.execute(sql.SQL(statement).format(sql.Identifier(name)))
