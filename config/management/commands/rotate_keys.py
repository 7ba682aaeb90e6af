"""Carry everything sealed over to the newest key; forget what was sealed with one that is lost."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from config.sealed import stock
from delivery.services import lose_ids

CHATS = "delivery_chat.telegram_id"


class Command(BaseCommand):
    """Exit code 0 when nothing is left. Safe to end at any time, to run again, and to run beside
    everything; only after a change of SECRET_KEY without its fallback must all else be stopped."""

    help = (
        "Seal Telegram ids, names and updates with the first FIELD_ENCRYPTION_KEY, in batches;"
        " say how many are left."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--forget-lost", action="store_true",
            help="count what no key opens; with --for-ever empty it, so that telbot can start",
        )  # fmt: skip
        parser.add_argument(
            "--for-ever", action="store_true", help="yes: that key is lost and never comes back"
        )
        parser.add_argument("--json", action="store_true", help="one JSON object as the last line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Column by column."""
        if options["for_ever"] and not options["forget_lost"]:
            raise CommandError("--for-ever is for --forget-lost. Nothing was changed.")
        forgotten = {}
        if options["forget_lost"]:
            forgotten = self._forget(for_ever=options["for_ever"], as_json=options["json"])
        self._rotate(forgotten, as_json=options["json"])

    def _forget(self, *, for_ever: bool, as_json: bool) -> dict[str, int]:
        found = {column.name: stock.lost(column) for column in stock.columns()}
        for name, count in found.items():
            self.stdout.write(f"{name:<36} {count} cannot be opened")
        if not for_ever:
            if as_json:
                self.stdout.write(json.dumps({"ok": False, "lost": found}))
            raise CommandError(
                "Nothing was changed. Look for the key once more: in the settings of each service,"
                " the password safe, FIELD_ENCRYPTION_KEY of the last deploy. If it is lost, add"
                " --for-ever; docs/operations/handbook.md says what happens then."
            )
        return {
            column.name: stock.forget_lost(column, then=_lose if column.name == CHATS else None)
            for column in stock.columns()
        }

    def _rotate(self, forgotten: dict[str, int], *, as_json: bool) -> None:
        changed = {}
        for column in stock.columns():
            done = stock.carry_over(column)
            changed[column.name] = done.changed
            unread = f", {done.unreadable} cannot be opened" if done.unreadable else ""
            unread += f", {forgotten[column.name]} forgotten" if forgotten else ""
            self.stdout.write(f"{column.name:<36} {done.changed} carried over{unread}")
        left = stock.left().total()
        if as_json:
            report = {"ok": not left, "changed": changed, "left": left}
            report |= {"forgotten": forgotten} if forgotten else {}
            self.stdout.write(json.dumps(report))
        if left:
            raise CommandError(
                f"{left} values are not under the newest key. Set the keys they have in"
                " FIELD_ENCRYPTION_KEY, after the newest, and run this again. If one of them is"
                " lost for ever: --forget-lost."
            )


def _lose(chats: list[int]) -> int:
    return lose_ids(chats=chats, now=timezone.now())
