"""What several tests of the sender stand on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.commands import TOKEN
from tests.integration.delivery.receiver import Receiver, receiving


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    """A Telegram that everybody may be called at."""
    with receiving(Receiver()) as running:
        settings.BOT_TOKEN = TOKEN
        settings.TELEGRAM_API_URL = running.url
        settings.STAGING_ALLOWED_CHATS = None
        settings.TELEGRAM_SENDS_PER_SECOND = 500.0
        yield running
