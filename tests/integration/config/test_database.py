"""Connections to PostgreSQL end by themselves where the network swallows every byte (F5).

That they do is the kernel's; what a test without a firewall can hold is that it was told to.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, connections

from config.backups.catalogue import own_connection
from tests.faults.cable import cable

pytestmark = pytest.mark.django_db


@pytest.fixture
def over_tcp() -> Iterator[Any]:
    """Django's connection, by loopback; the embedded server itself has but a Unix socket."""
    usual, far = connections["default"], connection.copy()
    far.settings_dict["OPTIONS"].pop("host", None)
    with cable() as line:
        far.settings_dict |= {"HOST": "127.0.0.1", "PORT": str(line.port)}
        connections["default"] = far
        try:
            yield far
        finally:
            far.close()
            connections["default"] = usual


def told(connected: Any) -> dict[str, int]:
    """What the kernel was told of a psycopg connection's socket."""
    with socket.socket(fileno=os.dup(connected.fileno())) as wire:
        given = wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        asked = ("TCP_USER_TIMEOUT", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        values = {
            name: wire.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in asked
        }
        return {"SO_KEEPALIVE": given, **values}


def test_a_network_that_swallows_everything_is_noticed(over_tcp: Any) -> None:
    """Within 20 s of the last byte that was acknowledged; a backup's connection likewise."""
    limits = {
        "SO_KEEPALIVE": 1, "TCP_USER_TIMEOUT": 20_000,
        "TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3,
    }  # fmt: skip
    over_tcp.ensure_connection()
    assert told(over_tcp.connection) == limits
    with own_connection() as backup:
        assert told(backup) == limits


def test_the_server_lets_go_of_whoever_is_gone_likewise() -> None:
    """On a Unix socket it takes the settings and has no use for them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name LIKE 'tcp!_%' ESCAPE '!' AND source = 'client'"
        )
        asked = {name for (name,) in cursor.fetchall()}
    keepalives = {f"tcp_keepalives_{what}" for what in ("idle", "interval", "count")}
    assert asked == keepalives | {"tcp_user_timeout"}
