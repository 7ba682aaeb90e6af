"""Carry everything sealed over to the newest key."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.sealed import stock


class Command(BaseCommand):
    """Exit code 0 when nothing is left. Safe to end at any time, to run again, and to run beside
    everything; only after a change of SECRET_KEY without its fallback must all else be stopped."""

    help = (
        "Seal Telegram ids, names and updates with the first FIELD_ENCRYPTION_KEY, in batches;"
        " say how many are left."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Column by column."""
        changed = {}
        for column in stock.columns():
            done = stock.carry_over(column)
            changed[column.name] = done.changed
            unread = f", {done.unreadable} cannot be opened" if done.unreadable else ""
            self.stdout.write(f"{column.name:<36} {done.changed} carried over{unread}")
        left = stock.left().total()
        if options["json"]:
            report = {"ok": not left, "changed": changed, "left": left}
            self.stdout.write(json.dumps(report))
        if left:
            raise CommandError(
                f"{left} values are not under the newest key. Set the keys they have in"
                " FIELD_ENCRYPTION_KEY, after the newest, and run this again."
            )
