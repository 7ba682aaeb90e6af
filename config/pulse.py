"""That the web process answers, noted as other processes note themselves: measured, not assumed.

A request that was answered leaves a mark in memory; a thread beside writes it down each quarter of
a minute, if there is one. So no request waits for it, a health check never depends on the database,
and a process that hangs, or that nobody reaches, counts as down.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, close_old_connections

log = logging.getLogger(__name__)

BEAT_SECONDS = 15.0


class Pulse:
    """Whether something was answered since it was written down last."""

    def __init__(self) -> None:
        self._answered = threading.Event()

    def answered(self) -> None:
        """A request was answered, and not with an error of ours. Costs nothing."""
        self._answered.set()

    def write(self) -> bool:
        """Write it down if there is anything; return whether there was. Safe to run twice."""
        from delivery.models import Process
        from delivery.services.heartbeats import beat

        if not self._answered.is_set():
            return False
        self._answered.clear()
        beat(Process.WEB)
        return True

    def run(self, *, stopping: threading.Event, every_seconds: float = BEAT_SECONDS) -> None:
        """Write until `stopping` is set. A database that is away is no reason to die."""
        while not stopping.wait(every_seconds):
            try:
                self.write()
            except DatabaseError:
                log.warning("pulse.database_unreachable")
            close_old_connections()


pulse = Pulse()


def start() -> None:
    """Watch over this process, beside it, for as long as it lives."""
    threading.Thread(
        target=pulse.run, kwargs={"stopping": threading.Event()}, name="pulse", daemon=True
    ).start()
