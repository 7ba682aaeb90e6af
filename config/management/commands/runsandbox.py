"""Run the local stand-in for Telegram."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from delivery.sandbox import client


class Command(BaseCommand):
    """A process of its own; other processes start it by themselves where they need it."""

    help = "Run the sandbox: a Bot API server and the learner page, on a loopback address."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and whether unknown chat ids are welcome."""
        parser.add_argument("--port", type=int, default=settings.SANDBOX_PORT)
        parser.add_argument(
            "--strict",
            action="store_true",
            help="refuse chats of people who never pressed Start, as Telegram does",
        )

    def handle(self, *args: Any, port: int, strict: bool, **options: Any) -> None:
        """Serve until SIGTERM."""
        if settings.ENVIRONMENT == "production":
            raise CommandError("the sandbox is for local and staging; production has Telegram")
        try:
            client.serve(port=port, open_to_all=not strict, ready=self._say)
        except client.SandboxError as error:
            raise CommandError(str(error)) from error

    def _say(self, url: str) -> None:
        self.stdout.write(f"The sandbox listens at {url}")
        self.stdout.flush()
