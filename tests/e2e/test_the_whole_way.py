"""From a Meet record to a Telegram message by the commands alone (S01, S02, S03).

A loopback Google and a loopback Telegram, an empty database, real processes.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from attendance.models import SyncRun
from attendance.sandbox import World, build_world, serve, service_account_key
from tests.e2e.commands import environment, run, run_in_one, telegram_at
from tests.integration.config.test_metrics import scrape
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
SEQUENCE = """
sequence: we-missed-you
name: We missed you
category: attendance
triggers:
  - {fact: missed}
steps:
  - key: hello
    wait: {after: 0m}
    text: "Hi {{ first_name | default: 'there' }}, we missed you in {{ session_title }}."
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as running:
        yield running


@pytest.mark.parametrize("seed", [3])
def test_five_commands_say_it_once_to_those_who_missed(
    receiver: Receiver, tmp_path: Path, seed: int, client: Client, settings: Any
) -> None:
    now = datetime.now(UTC)  # Google's log is asked for real moments
    world = build_world(now=now, weeks=3, learners=40, seed=seed)
    write_learners(world, tmp_path / "learners.csv")
    (tmp_path / "sequence.yaml").write_text(SEQUENCE)
    with serve(world.google()) as google:
        env = environment(
            **telegram_at(receiver.url),
            GOOGLE_API_URL=google,
            GOOGLE_SERVICE_ACCOUNT_JSON=json.dumps(service_account_key(f"{google}/token")),
            GOOGLE_DELEGATED_USER="reports@school.example",
        )
        commands = (
            ("import_learners", str(tmp_path / "learners.csv")),
            ("import_sequence", str(tmp_path / "sequence.yaml"), "--publish"),
            ("sync_attendance",),
            ("tick",),
            ("send_due", "--until-empty"),
        )
        for command in commands:
            run(*command, env=env)
        # The second time changes nothing, also in a process that remembers what it did before.
        found = run_in_one(*commands, ("export_outcomes",), env=env)["outcomes"]

    outcomes = {(row["email"], row["session"]): row for row in found}
    right = sum(outcomes[pair]["outcome"] == kind for pair, kind in world.truth.items())
    assert right / len(world.truth) >= 0.97
    falsely_missed = [
        pair
        for pair, row in outcomes.items()
        if row["outcome"] == "missed" and world.truth[pair] != "missed"
    ]
    assert falsely_missed == []
    assert Counter(receiver.texts) == Counter(owed(world, now=now))
    assert receiver.total > 0
    page = scrape(client, settings)  # S14: machines are told what the outside saw
    assert page["telbot_deliveries_ended", "1h", "sent"] == receiver.total
    assert page["telbot_telegram_tries", "sent", "200"] == receiver.total
    assert page["telbot_journeys", "1h", "started"] == receiver.total
    assert page["telbot_delivery_success_ratio", "24h"] == 1
    runs = SyncRun.objects.filter(source="meet", state="complete")
    assert page["telbot_google_readings", "meet", "complete"] == runs.count()


def owed(world: World, *, now: datetime) -> list[tuple[int, str]]:
    """What each learner must get: one message for the oldest class of the last 72 hours that is
    their first missed one in a row (`times: 1` means exactly one). While that journey is open,
    another one is refused (`already_open`)."""
    people = {row.email: row for row in world.learners}
    first: dict[str, str] = {}
    absent: dict[tuple[str, str], bool] = {}  # at the class before, by learner and course
    for held in sorted(world.classes, key=lambda held: held.starts_at):
        recent = held.starts_at + timedelta(hours=1) > now - timedelta(hours=72)
        for (email, event_id), kind in world.truth.items():
            if event_id != held.event_id:
                continue
            if kind == "missed" and recent and not absent.get((email, held.calendar_id)):
                first.setdefault(email, world.titles[held.calendar_id])
            absent[email, held.calendar_id] = kind == "missed"
    return [
        (
            people[email].telegram_chat_id,
            f"Hi {people[email].name.split()[0]}, we missed you in {title}.",
        )
        for email, title in first.items()
    ]


def write_learners(world: World, path: Path) -> None:
    """The cohort as an import file."""
    with path.open("w", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["email", "name", "timezone", "telegram_chat_id", "courses"])
        for row in world.learners:
            courses = ";".join(row.courses)
            writer.writerow([row.email, row.name, row.timezone, row.telegram_chat_id, courses])
