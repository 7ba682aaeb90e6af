"""What the web service does before a deploy: back up, migrate, set the roles."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config.telemetry.scrubbing import words
from config.views import database_problem

#: A migration that cannot get its lock in this time would hold up everybody who queues behind it.
LOCK_SECONDS = 5


class Command(BaseCommand):
    """Any failure leaves what ran before running: Render cancels the deploy. Safe to run again."""

    help = "Wait for the database, back it up (production), migrate, set up the roles."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument(
            "--seconds", type=float, default=120, help="how long to wait for the database at most"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it all, or raise and say what was kept."""
        self._wait(seconds=options["seconds"])
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not pending:
            self.stdout.write("Nothing to migrate.")
        else:
            if executor.loader.applied_migrations:
                self._back_up()
            self._migrate(len(pending))
        call_command("setup_roles", stdout=self.stdout)

    def _wait(self, *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while problem := database_problem():
            connection.close_if_unusable_or_obsolete()
            if time.monotonic() > deadline:
                raise CommandError(f"Nothing was changed: {problem}. See DATABASE_URL.")
            time.sleep(1)

    def _back_up(self) -> None:
        """A full backup stands before every production migration."""
        if settings.ENVIRONMENT != "production":
            return
        if not settings.VALUES["BACKUP_S3_URL"]:
            self.stderr.write(
                "No backup of our own, as BACKUP_S3_URL is empty: going back further than one "
                "release means Render's point-in-time recovery."
            )
            return
        try:
            call_command("backup", to_storage=True, stdout=self.stdout)
        except Exception as error:
            raise CommandError(
                f"Nothing was migrated, as the backup before it failed: {error}"
            ) from error

    def _migrate(self, count: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{LOCK_SECONDS}s"])
        try:
            call_command("migrate", interactive=False, stdout=self.stdout)
        except Exception as error:
            raise CommandError(  # it stands in Render's log, so it quotes no row
                f"The deploy stops at a migration: {words(error)}\n"
                "What is listed as OK above is applied and fits the code that runs; the one that "
                "failed left no trace, unless it is not atomic. Deploy again once it is mended."
            ) from error
        self.stdout.write(f"{count} migrations are applied.")
