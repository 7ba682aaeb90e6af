"""Let go what is older than its kind is kept."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from config import retention
from delivery import clock


class Command(BaseCommand):
    """Every night the job `prune` does the same. Breaking it off and running it again is safe."""

    help = "Archive old deliveries and delete what is older than its kind is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--dry-run", action="store_true", help="only say how many would go")
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print how many rows of each kind went, or would."""
        now = clock.now()
        dry_run = options["dry_run"]
        found = list(retention.foresee(now=now)) if dry_run else retention.prune(now=now)
        for one in found:
            note = "" if one.done or dry_run else "  (the rest next time: it is in use)"
            self.stdout.write(f"{one.rows:>9,}  {one.kind}{note}")
        if options["json"]:
            rows = {one.kind: one.rows for one in found}
            self.stdout.write(json.dumps({"ok": True, "dry_run": dry_run, "rows": rows}))
