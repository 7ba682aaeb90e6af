"""A clock of its own process tells what is wrong, and ends when told (S16)."""

from __future__ import annotations

import json

import pytest

from delivery.services import close_gate
from tests.e2e.commands import environment, running
from tests.integration.config.receivers import receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_a_clock_tells_what_it_finds() -> None:
    close_gate(key="bot:token", reason="Telegram refuses it", by="sender")
    with receiving(202) as pager:
        env = environment(PAGERDUTY_ROUTING_KEY="R0UT1NG", PAGERDUTY_API_URL=pager.url)
        with running("runclock", env=env):
            pager.await_count(1)

    event = json.loads(pager.arrived[0][1])
    assert (event["event_action"], event["payload"]["class"]) == ("trigger", "token_refused")
