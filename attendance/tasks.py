"""The worker's side of attendance: doorbells that say it may be time to look."""

from __future__ import annotations

import logging

import dramatiq
import waffle
from django.utils import timezone

from attendance import google, services

log = logging.getLogger(__name__)


@dramatiq.actor(queue_name="attendance", max_retries=0, time_limit=540_000, max_age=300_000)
def sync_attendance() -> None:
    """Read Google and settle what may be settled. Overlapping runs are harmless: upserts only."""
    if not google.is_configured() or not waffle.switch_is_active("attendance"):
        return
    services.sync(now=timezone.now())
    services.settle(now=timezone.now())


@dramatiq.actor(queue_name="attendance", max_retries=0, time_limit=120_000, max_age=60_000)
def settle_sessions() -> None:
    """Evaluate classes whose time has come; rows are claimed, so twice is harmless."""
    if waffle.switch_is_active("attendance"):
        services.settle(now=timezone.now())
