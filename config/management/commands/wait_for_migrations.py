"""What a worker and a clock do before a deploy: wait until the web's deploy has migrated."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from config.views import database_problem, migrations_problem


class Command(BaseCommand):
    """Render deploys each service by itself. Reads only; safe to run at any time."""

    help = "Wait until the database answers and has every migration of this code."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--seconds", type=float, default=1200, help="how long at most (20 minutes)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Return once there is nothing to wait for; fail after so many seconds."""
        deadline = time.monotonic() + options["seconds"]
        told = ""
        while problem := database_problem() or migrations_problem():
            connection.close_if_unusable_or_obsolete()
            if time.monotonic() > deadline:
                raise CommandError(
                    f"Gave up waiting: {problem}. The code that ran before goes on; see what "
                    "manage.py predeploy of the web service said."
                )
            if problem != told:
                self.stdout.write(f"Waiting: {problem}.")
                told = problem
            time.sleep(1)
        self.stdout.write("Every migration is applied.")
