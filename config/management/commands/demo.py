"""`make demo`."""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
from argparse import ArgumentParser
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

import delivery.clock
from attendance.models import Activity, Learner, Outcome
from attendance.sandbox import World
from config import processes
from config.demo import history, live, school
from delivery import telegram
from delivery.models import Delivery
from delivery.sandbox import client
from delivery.services.installation import arm, remember_bot
from nurture.models import Journey

USER = PASSWORD = "demo"  # noqa: S105 - on a laptop only, and printed
SEQUENCES = ("missed-class", "welcome-back", "late-or-left-early")
# The newest class is left to the real processes: history ends before it is settled.
LEFT_TO_THE_LIVING = timedelta(minutes=170)


class Command(BaseCommand):
    """Runs on a laptop, with the sandbox; never touches a database that holds something else."""

    help = "Play a cohort from Meet records to Telegram messages; stay up until Ctrl+C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Options."""
        parser.add_argument("--once", action="store_true", help="print JSON and end")
        parser.add_argument("--reset", action="store_true", help="begin anew")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play, report, and stay up (or, with --once, end)."""
        began = time.monotonic()
        logging.getLogger().setLevel(logging.WARNING)
        self._check()
        call_command("migrate", verbosity=0)
        call_command("setup_roles", stdout=StringIO())
        processes.stop(settings.LOCAL_DIR)
        if options["reset"]:
            self._reset()
        stored = self._school()
        world = stored.world()
        port = live.free_port(settings.PORT)
        try:
            self._run(world, port=port, began=began, once=options["once"])
        except (live.DemoError, client.SandboxError) as error:
            raise CommandError(str(error)) from error
        finally:
            processes.stop(settings.LOCAL_DIR)

    def _run(self, world: World, *, port: int, began: float, once: bool) -> None:
        since = datetime.now(UTC)
        live.start(port=port, sandbox_url=client.ensure(), local_dir=settings.LOCAL_DIR)
        live.await_web(port=port, local_dir=settings.LOCAL_DIR)
        live.await_work(
            since=since - timedelta(minutes=10),
            newest=school.newest_class_ended(world),
            local_dir=settings.LOCAL_DIR,
        )
        self._report(port=port)
        if once:
            figures = {**_figures(), "seconds": round(time.monotonic() - began, 1)}
            self.stdout.write(json.dumps(figures))
        else:
            self._stay()

    def _check(self) -> None:
        if not settings.IS_LOCAL or settings.BOT_TOKEN:
            raise CommandError(
                "The demo writes to the sandbox only: it needs ENVIRONMENT=local and no BOT_TOKEN. "
                "Nothing was changed."
            )

    def _school(self) -> school.School:
        stored = school.load(settings.LOCAL_DIR)
        known = Learner.objects.exists()
        if known and stored is None:
            raise CommandError(
                "This database holds learners that are not the demo's, so the demo leaves it "
                "alone. Play it in a world of its own: LOCAL_DIR=.local-demo make demo"
            )
        if known and stored is not None and stored.played:
            self.stdout.write(f"The school of {stored.made_at[:16]} goes on (RESET=1 begins anew).")
            return stored
        if known:
            self.stdout.write("Its beginning was broken off, so the demo begins anew.")
            self._reset()
        client.stop()
        stored = school.School(made_at=datetime.now(UTC).isoformat(), played=False)
        school.save(stored, local_dir=settings.LOCAL_DIR)
        self._begin(stored.world())
        stored = replace(stored, played=True)
        school.save(stored, local_dir=settings.LOCAL_DIR)
        return stored

    def _begin(self, world: World) -> None:
        start = min(held.starts_at for held in world.classes) - timedelta(hours=1)
        learners = school.folder(settings.LOCAL_DIR) / "learners.csv"
        school.write_learners(world, learners)
        self.stdout.write(f"A school of {len(world.learners)} learners; its last weeks:")
        arm(now=datetime.now(UTC))
        people = [
            {"id": row.telegram_chat_id, "first_name": row.name, "started": True}
            for row in world.learners
        ]
        client.request(client.ensure(), "POST", "/sandbox/people", {"people": people})
        remember_bot(username=telegram.username())
        with delivery.clock.simulated(start):
            call_command("import_learners", str(learners), verbosity=0, stdout=self.stderr)
            for slug in SEQUENCES:
                path = settings.BASE_DIR / "nurture" / "sequences" / f"{slug}.yaml"
                call_command("import_sequence", str(path), "--publish", stdout=self.stderr)
        end = school.newest_class_ended(world) + LEFT_TO_THE_LIVING
        history.play(world, start=start, end=end, say=self.stdout.write)
        users = get_user_model()
        if not users.objects.filter(username=USER).exists():
            users.objects.create_superuser(username=USER, password=PASSWORD)

    def _reset(self) -> None:
        if Learner.objects.exists() and school.load(settings.LOCAL_DIR) is None:
            raise CommandError("This database is not the demo's, so nothing was deleted.")
        client.stop()
        tables = [
            connection.ops.quote_name(model._meta.db_table)
            for label in ("attendance", "delivery", "nurture")
            for model in apps.get_app_config(label).get_models()
        ]
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
        (settings.LOCAL_DIR / "sandbox" / "journal.jsonl").unlink(missing_ok=True)
        (school.folder(settings.LOCAL_DIR) / "school.json").unlink(missing_ok=True)

    def _report(self, *, port: int) -> None:
        figures = _figures()
        states = dict.fromkeys(
            Delivery.objects.order_by("status").values_list("status", flat=True), 0
        )
        for status in Delivery.objects.values_list("status", flat=True):
            states[status] += 1
        missed = Outcome.objects.filter(is_current=True, effective=True, outcome="missed").count()
        lines = [
            "",
            f"  {figures['activities']} Meet records read through Google's own client",
            f"  {figures['outcomes']} outcomes, {missed} of them missed and settled",
            f"  {figures['journeys']} journeys started, each by one fact",
            f"  {figures['deliveries']} messages planned: "
            + ", ".join(f"{count} {state}" for state, count in states.items()),
            "  the newest class was settled, decided and sent by the clock and the worker",
            "",
            f"  admin    http://127.0.0.1:{port}/admin/   user {USER}, password {PASSWORD}",
            f"  sandbox  {client.ensure()}/   sit in a learner's place",
            "",
        ]
        self.stdout.write("\n".join(lines))

    def _stay(self) -> None:
        self.stdout.write("Ctrl+C ends the processes; `make stop` also ends the servers.")
        over = threading.Event()
        for name in (signal.SIGINT, signal.SIGTERM):
            signal.signal(name, lambda *_: over.set())
        over.wait()


def _figures() -> dict[str, int]:
    """What the database holds."""
    return {
        "activities": Activity.objects.count(),
        "outcomes": Outcome.objects.filter(is_current=True).count(),
        "journeys": Journey.objects.count(),
        "deliveries": Delivery.objects.count(),
        "sent": Delivery.objects.filter(status="sent").count(),
    }
