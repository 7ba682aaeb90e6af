"""Where the clock stumbles."""

from __future__ import annotations

import sys
from datetime import datetime

from django.apps import AppConfig


class TroubledConfig(AppConfig):
    """An app whose one purpose is to fail, with somebody's data at hand."""

    name = "tests.e2e.troubled"

    def ready(self) -> None:
        """The clock asks whether there is something to read, and dies of it."""
        if "runclock" in sys.argv:
            import attendance.selectors
            from tests.e2e.troubled.tasks import stumble

            def sync_is_due(*, now: datetime) -> bool:
                stumble()
                return False

            attendance.selectors.sync_is_due = sync_is_due
