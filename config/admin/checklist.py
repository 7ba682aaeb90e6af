"""What has to be set up before anything can happen: judged by rows, without asking anybody.

`manage.py doctor` asks Telegram and Google themselves; a page must not wait for them, so here the
traces count that their answers left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings

from attendance import google
from delivery.models import Process
from delivery.services.gates import TOKEN
from nurture.services.alerts import MISSING_SECONDS
from nurture.services.figures import Standing


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to set up: whether it is, and what to do if it is not."""

    name: str
    done: bool
    do: str


def checklist(standing: Standing) -> list[Step]:
    """Every step in the order in which one would take them."""
    return [*_processes(standing), *_telegram(standing), *_google(standing), *_first(standing)]


def _processes(standing: Standing) -> Iterator[Step]:
    for process in (Process.CLOCK, Process.WORKER):
        alive = standing.delivery.processes.get(process.value)
        done = alive is not None and alive.seconds_ago <= MISSING_SECONDS
        yield Step(f"The {process.value} runs", done, f"Start the {process.label}.")


def _telegram(standing: Standing) -> Iterator[Step]:
    refused = any(gate.key == TOKEN for gate in standing.gates)
    yield Step(
        "The bot's token is right",
        bool(standing.delivery.bot_username) and not refused,
        "Set BOT_TOKEN (empty: the sandbox); manage.py doctor asks whether it is right.",
    )
    poller = standing.delivery.processes.get(Process.POLLER.value)
    if settings.TELEGRAM_WEBHOOK_SECRET:
        name, do = "Telegram reaches us", "Run manage.py runbot --webhook, then write to the bot."
        done = standing.delivery.heard_at is not None
    else:
        name, do = "The bot listens", "Start manage.py runbot, or set TELEGRAM_WEBHOOK_SECRET."
        done = poller is not None and poller.seconds_ago <= 2 * MISSING_SECONDS
    yield Step(name, done, do)


def _google(standing: Standing) -> Iterator[Step]:
    meet = next((r for r in standing.attendance.readings if r.source == "meet"), None)
    if google.is_configured():
        do = "Grant the service account its scopes; manage.py doctor says which are missing."
    else:
        do = (
            "Set GOOGLE_SERVICE_ACCOUNT_JSON, GOOGLE_DELEGATED_USER and GOOGLE_CALENDAR_IDS, and "
            "switch attendance on."
        )
    yield Step("Google lets us read", meet is not None and meet.complete_at is not None, do)


def _first(standing: Standing) -> Iterator[Step]:
    yield Step(
        "Learners are known",
        standing.attendance.has_learners,
        "Run manage.py import_learners FILE.csv.",
    )
    yield Step(
        "A first learner has opened the bot",
        standing.nurture.has_linked,
        "Run manage.py invite_link and send the link, your own to begin with.",
    )
    yield Step(
        "A first sequence is published",
        standing.nurture.has_published,
        "Publish a draft, or run manage.py import_sequence FILE.yaml --publish.",
    )
    yield Step(
        "A first message has arrived",
        standing.delivery.has_sent,
        "Send a test of a step to a staff chat; it counts nowhere.",
    )
