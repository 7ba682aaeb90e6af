"""Who is alive: one row for each kind of process and hour (S18, N12)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from delivery import selectors, services, tasks
from delivery.models import Heartbeat, Process

pytestmark = pytest.mark.django_db


def test_a_minute_counts_once_however_many_beat_in_it() -> None:
    for _ in range(3):
        services.beat(Process.CLOCK)

    minutes = sum(Heartbeat.objects.values_list("minutes", flat=True))
    assert minutes in {1, 2}  # two where a minute ended meanwhile


def test_the_next_minute_counts_anew() -> None:
    services.beat(Process.CLOCK)
    row = Heartbeat.objects.get()
    earlier = row.seen_at - timedelta(minutes=1)
    Heartbeat.objects.update(first_at=earlier, seen_at=earlier)

    services.beat(Process.CLOCK)

    assert max(Heartbeat.objects.values_list("minutes", flat=True)) in {1, 2}
    assert sum(Heartbeat.objects.values_list("minutes", flat=True)) == 2


def test_a_worker_that_hears_its_bell_is_seen() -> None:
    assert selectors.standing().processes == {}

    tasks.show_life()

    alive = selectors.standing().processes
    assert set(alive) == {"worker"}
    assert alive["worker"].seconds_ago < 60
    assert (alive["worker"].minutes, alive["worker"].of) == (1, 1)


def test_minutes_without_a_beat_lower_the_uptime() -> None:
    services.beat(Process.CLOCK)
    hour = timedelta(hours=1)
    row = Heartbeat.objects.get()
    Heartbeat.objects.create(
        name="clock", hour=row.hour - 3 * hour, first_at=row.seen_at - 3 * hour,
        seen_at=row.seen_at - 2 * hour, minutes=59,
    )  # fmt: skip
    Heartbeat.objects.create(  # of another week
        name="clock", hour=row.hour - 200 * hour, first_at=row.hour - 200 * hour,
        seen_at=row.hour - 200 * hour, minutes=1,
    )  # fmt: skip

    clock = selectors.standing().processes["clock"]

    now = timezone.now()
    of_week = 7 * 24 * 60 + now.minute
    assert clock.minutes == 60
    assert clock.of in {of_week, of_week + 1}  # the hours without a row are among them


def test_what_was_never_up_this_week_is_down() -> None:
    """S18: a process that left no row in seven days was down for all of them."""
    services.beat(Process.WORKER)
    Heartbeat.objects.update(
        hour=F("hour") - timedelta(days=9), first_at=F("first_at") - timedelta(days=9),
        seen_at=F("seen_at") - timedelta(days=9),
    )  # fmt: skip

    worker = selectors.standing().processes["worker"]

    assert (worker.minutes, worker.of > 7 * 24 * 60 - 1) == (0, True)
    assert worker.seconds_ago > 8 * 24 * 3600
