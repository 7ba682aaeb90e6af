"""Erase everything personal about a learner."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from attendance.domain.identity import email_key
from attendance.services import erased_among
from delivery import clock
from nurture.management.base import JsonCommand, learner_of
from nurture.services import privacy


class Command(JsonCommand):
    """Rows stay, so that totals do; nothing in them says who it was. It cannot be undone."""

    help = (
        "Erase a learner's names, addresses, chat, texts and reasons; docs/privacy.md has it all."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erase, or say that it was done before."""
        learner = learner_of(options["email"])
        dry_run = options["dry_run"]
        if learner is None:
            if not erased_among(marks=[f"email:{email_key(options['email'])}"]):
                raise CommandError(f"No learner has the address {options['email']}.")
            report = {"learner": None, "dry_run": dry_run, "erased_before": True, "rows": {}}
            self.say("This address was erased before.", report, as_json=options["json"])
            return
        act = privacy.foresee if dry_run else privacy.erase
        done = act(learner=learner, now=clock.now())
        rows = ", ".join(f"{number} {kind}" for kind, number in done.rows.items() if number)
        self.say(
            f"Would be erased: {rows}. Nothing was changed." if dry_run else f"Erased: {rows}.",
            {"learner": done.learner_id, "dry_run": dry_run, "erased_before": False,
             "rows": done.rows},
            as_json=options["json"],
        )  # fmt: skip
