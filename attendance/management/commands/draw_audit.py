"""This week's outcomes for people to look at."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from attendance.services.audit import draw_audit


class Command(BaseCommand):
    """Twenty at random from last week; drawing again in the same week changes nothing."""

    help = "Draw the weekly audit sample (the job draw-audit does so by itself)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Draw."""
        drawn = draw_audit(now=timezone.now())
        self.stdout.write(
            f"{drawn} outcomes drawn." if drawn else "Drawn already, or none to draw."
        )
        if options["json"]:
            self.stdout.write(json.dumps({"drawn": drawn}))
