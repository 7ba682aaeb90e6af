"""Let something that was held back go on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from nurture.domain.catching_up import Policy
from nurture.management.switching import SwitchCommand


class Command(SwitchCommand):
    """nurture, attendance, deliver, stream:<slug>, or learner:<email>."""

    help = "Let something that was held back go on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="only say what it would touch")
        parser.add_argument(
            "--policy",
            choices=[policy.value for policy in Policy],
            help="of a stream or learner, what came due meanwhile: the latest message of each "
            "journey now (the default), none and keep the times, or all later by the pause",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Set the switch."""
        policy = Policy(options["policy"]) if options["policy"] else None
        self.turn(
            options["name"],
            "resume",
            policy=policy,
            as_json=options["json"],
            dry_run=options["dry_run"],
        )
