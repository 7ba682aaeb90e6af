"""Make the link by which a learner binds their Telegram chat."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from delivery import clock, telegram
from delivery.services.installation import remember_bot
from nurture.management.base import JsonCommand, learner_of
from nurture.services import links


class Command(JsonCommand):
    """The token is shown here once; only its hash is kept."""

    help = "Print a link that binds a chat to a learner: good once, for seven days."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Arguments."""
        super().add_arguments(parser)
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make and print the link."""
        learner = learner_of(options["email"])
        if learner is None:
            raise CommandError(f"No learner has the address {options['email']}. Import them first.")
        username = telegram.username()
        if not username:
            raise CommandError("Telegram does not answer, so no link was made; try again.")
        try:
            made = links.invite(learner=learner, bot=username, now=clock.now())
        except links.NotInvitedError as error:
            raise CommandError(f"No link was made: {error}") from None
        remember_bot(username=username)
        report = {"link": made.address, "expires_at": made.expires_at.isoformat()}
        self.say(made.address, report, as_json=options["json"])
