"""How soon something is answered: a command, a button, a fact; with Redis and without."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import redis
from django.conf import settings
from django.test import Client, override_settings
from dramatiq.errors import BrokerConnectionError

from attendance.tasks import settle_sessions
from config import embedded
from delivery import clock
from delivery.inbound import callback_data
from delivery.views import SECRET_HEADER
from nurture.models import Contact
from tests.bench.queues import empty
from tests.bench.report import Figures, Line, expect, share
from tests.e2e.commands import stop_redis
from tests.factories import nurture as make
from tests.integration.delivery.inbound_updates import message, press
from tests.integration.delivery.receiver import Receiver

SECRET = "a-Secret_1"
_updates = itertools.count(1)


def measure(receiver: Receiver, *, times: int) -> Figures:
    """Do so many of each, at moments that know nothing of the clock's ticks; p95 of each.

    A worker and a clock send to the receiver.
    """
    empty()
    make.make_sequence(now=clock.now())
    found: Figures = {"times": times}
    with override_settings(TELEGRAM_WEBHOOK_SECRET=SECRET):
        bench = _Bench(receiver)
        bench.react(_acts, seconds=60)  # the first one makes the gates again
        found |= bench.both(times, "")
        if settings.USES_EMBEDDED_SERVERS:  # only our own may be killed
            stop_redis()
            try:
                found |= bench.both(times, "_without_redis")
            finally:
                embedded.ensure(Path(settings.LOCAL_DIR))
    expect("doubled", {chat: n for chat, n in receiver.arrived.items() if n > 1}, {})
    return found


class _Bench:
    def __init__(self, receiver: Receiver) -> None:
        self.receiver, self.chance = receiver, random.Random(2)

    def react(self, act: Callable[[Contact], None], *, seconds: float = 30) -> float:
        """Seconds from before the act until the message is there."""
        contact = make.make_contact()
        time.sleep(self.chance.random())
        count, began = self.receiver.total + 1, time.monotonic()
        act(contact)
        self.receiver.await_count(count, seconds=seconds)
        assert contact.chat is not None
        expect("answered", self.receiver.texts[-1][0], contact.chat.telegram_id)
        return self.receiver.times[-1] - began

    def both(self, times: int, suffix: str) -> Figures:
        found: Figures = {}
        for name, act in (("act", _acts), ("fact", _is_missed)):
            took = [self.react(act) for _ in range(times)]
            found |= {f"{name}{suffix}_p50": share(took, 0.5)}
            found |= {f"{name}{suffix}_p95": share(took, 0.95)}
        return found


def _acts(contact: Contact) -> None:
    """A command and a button, in turn, by the webhook."""
    assert contact.chat is not None
    chat, number = contact.chat.telegram_id, next(_updates)
    update = message(number, "/help", chat={"id": chat, "type": "private", "first_name": "R"})
    if number % 2:
        data = callback_data(delivery_id=1, action="language:es")
        update = press(number, data, person=chat)
    answer = Client(SERVER_NAME="localhost").post(
        "/telegram/webhook/", update, content_type="application/json",
        headers={SECRET_HEADER: SECRET},
    )  # fmt: skip
    expect("the webhook says", answer.status_code, 200)


def _is_missed(contact: Contact) -> None:
    """Attendance finds that a class of today was missed, and its task ends."""
    now = clock.now()
    session = make.make_session(starts_at=now - timedelta(hours=4))
    make.make_fact(contact=contact, session=session, recorded_at=now)
    with suppress(redis.RedisError, BrokerConnectionError):
        settle_sessions.send()


def lines(found: Figures) -> list[Line]:
    """For the table."""
    names = (
        ("act", "command or button to reply", "<= 0.5"),
        ("fact", "fact to message", "<= 0.5"),
        ("act_without_redis", "command or button to reply, Redis away", "<= 2"),
        ("fact_without_redis", "fact to message, Redis away", "<= 2"),
    )
    return [
        (f"{what}, s, p95 of {found['times']}", found[f"{name}_p95"], aim)
        for name, what, aim in names
        if f"{name}_p95" in found
    ]
