"""Run the local stand-in for Telegram, and for the demo's Google."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.demo.school import PREFIXES, MountedGoogle
from delivery.sandbox import app, client


class Command(BaseCommand):
    """A process of its own; other processes start it by themselves where they need it."""

    help = "Run the sandbox: a Bot API server and the learner page, on a loopback address."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and whether unknown chat ids are welcome."""
        parser.add_argument("--port", type=int, default=settings.SANDBOX_PORT)
        parser.add_argument(
            "--open",
            dest="open_to_all",
            action=BooleanOptionalAction,
            default=settings.ENVIRONMENT == "local",
            help="let an unknown chat id become a person who has pressed Start (local: on), "
            "instead of refusing it as Telegram does",
        )

    def handle(self, *args: Any, port: int, open_to_all: bool, **options: Any) -> None:
        """Serve until SIGTERM."""
        if settings.ENVIRONMENT == "production":
            raise CommandError("the sandbox is for local and staging; production has Telegram")
        try:
            google = app.plain(MountedGoogle(settings.LOCAL_DIR))
            client.serve(
                port=port,
                open_to_all=open_to_all,
                mounts=dict.fromkeys(PREFIXES, google),
                ready=self._say,
            )
        except client.SandboxError as error:
            raise CommandError(str(error)) from error

    def _say(self, url: str) -> None:
        self.stdout.write(f"The sandbox listens at {url}")
        self.stdout.flush()
