"""A worker watches where no clock does: a missing clock cannot say so itself."""

from __future__ import annotations

import threading

import dramatiq


class StandIn(dramatiq.Middleware):
    """Looks as the clock does (config/watch.py), while no clock is seen."""

    def __init__(self) -> None:
        self.stopping = threading.Event()

    def after_worker_boot(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Called in the worker's process. Imported late: the broker is made before the models."""
        from config import watch

        watch.start(stopping=self.stopping, unless=watch.others_look)

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: dramatiq.Worker) -> None:
        """Called before the worker waits for its threads."""
        self.stopping.set()
