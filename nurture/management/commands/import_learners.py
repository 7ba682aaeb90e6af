"""Read learners from a CSV file."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from attendance.management.importing import ImportCommand, open_lines, refusal, refusing
from delivery import clock
from nurture.services import contacts


class Command(ImportCommand):
    """All lines, or none."""

    help = (
        "Import learners: columns email, name, and if need be timezone, telegram_chat_id, courses."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("file", metavar="FILE.csv")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and say how many learners are new."""
        content = "".join(open_lines(options["file"]))
        try:
            with refusing():
                done = contacts.import_learners(
                    content=content, now=clock.now(), dry_run=options["dry_run"]
                )
        except contacts.ImportRefusedError as refused:
            raise refusal(refused.problems) from None
        said = f"{done.created} created, {done.updated} updated, {done.unchanged} unchanged."
        if done.erased:
            said += (
                f" {done.erased} left out: they were erased; see readmit_learner if they come back."
            )
        self.say(said, done.as_dict(), options)
