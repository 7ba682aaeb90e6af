"""How soon staff see what cannot be known; a message that kills whoever sends it (F11)."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin import site
from django.test import RequestFactory

from config.embedded import _await
from delivery import sender
from delivery.models import Delivery
from tests.faults.books import SHORT, assert_kept, owe, settled, states
from tests.faults.forks import Forks, forks
from tests.integration.delivery.receiver import Receiver, receiving

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.faults, pytest.mark.timeout(900),
]  # fmt: skip
log = logging.getLogger("faults")
RATE = 100.0
LEASE = 2.0 if SHORT else 60.0


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.TELEGRAM_SENDS_PER_SECOND = RATE
    with receiving(Receiver(latency=0.3)) as running:
        yield running


@pytest.fixture
def workers(receiver: Receiver) -> Iterator[Forks]:
    with forks(receiver.url, TELEGRAM_SENDS_PER_SECOND=str(RATE)) as running:
        yield running


def listed(admin_user: Any) -> int:
    """How many unknown deliveries the console's list shows."""
    request = RequestFactory().get("/", {"status__exact": "unknown"})
    request.user = admin_user
    page = site.get_model_admin(Delivery).get_changelist_instance(request)
    return int(page.result_count)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_what_cannot_be_known_is_listed_soon(
    receiver: Receiver, workers: Forks, admin_user: Any, how: signal.Signals
) -> None:
    """The lock of a dead worker is gone at once; a stopped one has its lease."""
    owe(100)
    pid = workers.start(lease=LEASE)
    receiver.await_count(sender.IN_FLIGHT * 2 + 1)
    os.kill(pid, how)
    began = time.monotonic()
    other = workers.start(lease=LEASE, keep=True)
    _await(lambda: listed(admin_user) > 0, seconds=90, what="the list")
    took = time.monotonic() - began
    os.kill(other, signal.SIGTERM)
    assert workers.wait(other) == 0
    if how == signal.SIGSTOP:
        os.kill(pid, signal.SIGCONT)
    assert workers.wait(pid) == (-signal.SIGKILL if how == signal.SIGKILL else 0)
    settled(workers, lease=LEASE)
    assert_kept(receiver, owed=100, unknown=sender.IN_FLIGHT)
    assert took < LEASE + 5
    log.info("%s: listed after %.1f s (lease %.0f s): %s", how.name, took, LEASE, dict(states()))


@pytest.mark.parametrize("where", ["_send", "commit"])
def test_a_message_that_kills_its_worker_is_put_aside(
    receiver: Receiver, workers: Forks, where: str
) -> None:
    """On the wire it is unknown at once; while it is only held it is dead after a few workers."""
    owe(60)
    poison = Delivery.objects.order_by("pk")[20]
    deaths = 0
    while states()["pending"] + states()["leased"]:
        assert deaths < 4
        deaths += workers.drain(poison=[where, poison.pk]) == -signal.SIGKILL
    settled(workers)
    poison.refresh_from_db()
    aside = {"_send": ("unknown", "worker_died"), "commit": ("dead", "poison")}
    assert (poison.status, poison.reason) == aside[where]
    found = states()
    assert found["dead"] == (where == "commit")
    assert found["sent"] >= 60 - 1 - deaths * sender.IN_FLIGHT
    log.info("poison in %s: %s workers died: %s", where, deaths, dict(found))
