"""What falls silent is told, too: a webhook that is gone, an engine that takes nothing (S16)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from config.watch import WEBHOOK_SECONDS, Watch
from delivery.models import Delivery
from delivery.telegram import ALLOWED_UPDATES
from nurture import flags, services
from nurture.domain.alerts import SECOND, Code
from nurture.models import AlertEpisode, Journey
from nurture.services.alerts import alerts
from nurture.services.figures import standing
from tests.e2e.commands import TOKEN
from tests.factories import nurture as make
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = pytest.mark.django_db
PAUSING = make.PLAIN + "  - {key: pause, kind: wait, wait: {after: 7d}}\n"
OURS = "https://telbot.example.org/telegram/webhook/"
WELL = {"url": OURS, "pending_update_count": 3, "allowed_updates": list(ALLOWED_UPDATES)}


@dataclass
class Telegram(Receiver):
    """One that knows of a webhook; None: it says nothing."""

    info: dict[str, Any] | None = field(default_factory=lambda: dict(WELL))

    async def handle(self, request: web.Request) -> web.Response:
        """One Bot API call."""
        assert request.match_info["method"] == "getWebhookInfo"
        self.probes += 1
        if self.info is None:
            return web.json_response({"ok": False, "description": "Bad Gateway"}, status=502)
        return web.json_response({"ok": True, "result": self.info})


@pytest.fixture
def telegram(settings: Any) -> Iterator[Telegram]:
    with receiving(Telegram()) as running:
        assert isinstance(running, Telegram)
        settings.BOT_TOKEN, settings.TELEGRAM_API_URL = TOKEN, running.url
        settings.PUBLIC_URL = "https://telbot.example.org"
        settings.TELEGRAM_WEBHOOK_SECRET = "s" * 24
        yield running


def test_a_webhook_that_was_taken_away_is_told(telegram: Telegram, settings: Any) -> None:
    watch = Watch(channels=[], redis_url=settings.REDIS_URL)
    seconds = 0.0

    def stands() -> list[str]:
        nonlocal seconds
        seconds += WEBHOOK_SECONDS
        watch.look(at=lambda: seconds)
        watch.look(at=lambda: seconds + WEBHOOK_SECONDS / 2)  # asks nobody
        return list(AlertEpisode.objects.filter(gone_since=None).values_list("code", flat=True))

    assert stands() == []
    telegram.info = WELL | {"url": ""}
    assert stands() == ["webhook_wrong"]
    telegram.info = None  # what was known holds
    assert stands() == ["webhook_wrong"]
    telegram.info = WELL | {"url": "https://other.example/s3cret"}
    assert stands() == ["webhook_wrong"]
    episode = AlertEpisode.objects.get()
    assert "s3cret" not in episode.words
    assert "other.example" not in episode.words
    telegram.info = dict(WELL)
    assert stands() == []

    assert telegram.probes == 5


def test_what_lies_still_is_told_by_its_age() -> None:
    """A fact, then the end of the message that came of it, then the journey's next step."""
    flags.set_nurture(percent=100)
    make.make_sequence(PAUSING)
    fact, ten = make.make_fact(), timedelta(minutes=10)

    def waits(at: datetime) -> list[str]:
        found = [one for one in alerts(standing(now=at)) if one.code == Code.ENGINE_STUCK]
        return [one.subject for one in found]

    known = fact.recorded_at
    assert (waits(known + ten), waits(known + ten + SECOND)) == ([], ["fact"])
    services.tick(now=known)
    assert waits(known + ten + SECOND) == []
    row = Delivery.objects.get()
    make.settle(row, at=row.due_at)
    assert (waits(row.due_at + ten), waits(row.due_at + ten + SECOND)) == ([], ["journey"])
    services.tick(now=row.due_at)
    due = Journey.objects.get().next_action_at
    assert due is not None
    assert due > row.due_at + ten
    assert (waits(due + ten), waits(due + ten + SECOND)) == ([], ["journey"])
    flags.set_nurture(percent=0)
    assert waits(due + ten + SECOND) == []


def test_who_polls_asks_for_no_webhook(telegram: Telegram, settings: Any) -> None:
    settings.TELEGRAM_WEBHOOK_SECRET = ""

    Watch(channels=[], redis_url=settings.REDIS_URL).look()

    assert telegram.probes == 0
