"""After a restore or a clone: say that this database is the one that sends here."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from delivery import clock
from delivery.services.installation import rearm


class Command(BaseCommand):
    """Re-arms. What was in flight when the copy was made may have arrived: it becomes unknown."""

    help = "Re-arm a restored database; what was in flight becomes unknown, never sent again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Re-arm."""
        unknown = rearm(now=clock.now())
        self.stdout.write(f"Armed. {unknown} deliveries were in flight and are unknown now.")
        if options["json"]:
            self.stdout.write(json.dumps({"unknown": unknown}))
