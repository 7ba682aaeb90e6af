"""May telbot go live?"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config import go_no_go
from config.management.commands.doctor import MARKS
from delivery import clock

FAILED, NOT_YET = 1, 3  # 2 is what wrong arguments give


class Command(BaseCommand):
    """Exit code 0: go. 1: a criterion fails. 3: none fails, but some cannot be known yet."""

    help = "Measure every criterion of going live: value, source, time, verdict."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print every criterion; raise CommandError where it is no go."""
        now = clock.now()
        items = go_no_go.judge(now=now, ask=True)
        report = go_no_go.report(items, now=now)
        for item in items:
            self.stdout.write(f"{MARKS[item.verdict]}{item.name:<18} {item.value} [{item.source}]")
        if options["json"]:
            self.stdout.write(json.dumps(report, ensure_ascii=False))
        self._decide({name: [i.name for i in items if i.verdict == name] for name in MARKS})

    def _decide(self, names: dict[str, list[str]]) -> None:
        open_yet = f"not yet: {', '.join(names['not_yet'])}" if names["not_yet"] else ""
        if names["fail"]:
            said = f"No go. It fails: {', '.join(names['fail'])}. {open_yet.capitalize()}".strip()
            raise CommandError(said, returncode=FAILED)
        if open_yet:
            raise CommandError(f"No go yet. Nothing fails; {open_yet}.", returncode=NOT_YET)
        self.stdout.write(f"Go: all {len(names['pass'])} criteria pass.")
