"""Several workers at once change nothing about the result (P14)."""

from __future__ import annotations

import subprocess
import sys

import pytest

from delivery.models import Delivery
from nurture import flags, services
from nurture.models import Decision, Journey
from tests.e2e.commands import ROOT, environment
from tests.factories import nurture as make
from tests.integration.nurture.engine_threads import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

#: A worker that begins when it is told to, so that all of them begin at one moment.
WORKER = """
import sys, django
from datetime import datetime
django.setup()
from nurture import services
now = datetime.fromisoformat(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
while services.process_events(now=now, limit=2):
    pass
services.tick(now=now)
"""


@pytest.fixture(autouse=True)
def _on() -> None:
    flags.set_nurture(percent=100)
    flags.set_attendance(on=True)


def test_four_workers_act_on_one_fact_once() -> None:
    """P14: one journey, one delivery, whoever comes first."""
    make.make_sequence()
    make.make_fact()
    make.make_fact()

    def work() -> None:
        services.tick(now=make.NOW)

    together(work, times=4)

    assert Journey.objects.count() == 2
    assert Delivery.objects.count() == 2


def test_four_workers_respect_the_open_limit_of_one_learner() -> None:
    """Two classes missed at once: one journey, one refusal, no error."""
    make.make_sequence()
    contact = make.make_contact()
    for _ in range(4):
        make.make_fact(contact=contact)

    def work() -> None:
        while services.process_events(now=make.NOW, limit=1):
            pass

    together(work, times=4)

    assert Journey.objects.count() == 1
    assert Decision.objects.filter(code="already_open").count() == 3


def test_one_fact_handed_over_fifty_times_begins_one_journey() -> None:
    """P14: the key of the entry, not the number of the row, says what is the same."""
    make.make_sequence(make.PLAIN.replace("open: 1", "open: 9"))
    contact, held = make.make_contact(), make.make_session()
    for _ in range(50):
        make.make_fact(contact=contact, session=held)

    def work() -> None:
        while services.process_events(now=make.NOW, limit=3):
            pass

    together(work, times=4)

    assert Journey.objects.count() == 1
    assert Delivery.objects.count() == 1
    assert Decision.objects.filter(code="already_entered").count() == 49


def test_the_same_fact_fifty_times_in_four_processes_is_one_journey_and_one_message() -> None:
    """P03, P14: real processes, each with a connection and a memory of its own."""
    make.make_sequence(make.PLAIN.replace("open: 1", "open: 9"))
    contact, held = make.make_contact(), make.make_session()
    for _ in range(50):
        make.make_fact(contact=contact, session=held)
    command = [sys.executable, "-c", WORKER, make.NOW.isoformat()]
    pipe = subprocess.PIPE
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=pipe, stdout=pipe, text=True)
        for _ in range(4)
    ]
    assert [worker.stdout and worker.stdout.readline() for worker in workers] == ["ready\n"] * 4

    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate(timeout=60)

    assert [worker.returncode for worker in workers] == [0] * 4
    assert Journey.objects.count() == 1
    assert Delivery.objects.count() == 1
    assert Decision.objects.filter(code="already_entered").count() == 49
