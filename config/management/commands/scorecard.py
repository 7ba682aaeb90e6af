"""The launch plan's figures of the last week."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import go_no_go
from config.management.commands.doctor import MARKS
from delivery import clock


class Command(BaseCommand):
    """Exit code 0 unless a figure is off its target; what is not measured yet does not fail."""

    help = "Print the figures of the last seven days against their targets, with their sources."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print; raise CommandError where a figure is off its target."""
        now = clock.now()
        items = go_no_go.score(now=now)
        wrong = [item.name for item in items if item.verdict == "fail"]
        for item in items:
            self.stdout.write(f"{MARKS[item.verdict]}{item.name:<18} {item.value} [{item.source}]")
        if options["json"]:
            report = {**go_no_go.report(items, now=now), "ok": not wrong}
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        if wrong:
            raise CommandError(f"Off target: {', '.join(wrong)}.")
