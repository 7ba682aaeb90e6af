"""The clock process."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from config import clock, watch
from delivery import tasks


class Command(BaseCommand):
    """One or many of these; harmless when doubled."""

    help = "Ring the doorbells each second, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        stopping = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stopping.set())
        watch.start(stopping=stopping)
        self.stdout.write("The clock runs.")
        clock.run(clock.timetable(), stopping=stopping)
        tasks.stop()  # what it began while Redis was away
        self.stdout.write("The clock stopped.")
