"""Where the worker stumbles."""

from __future__ import annotations

import dramatiq

from attendance.models import Learner
from delivery.models import Delivery


def stumble() -> None:
    """Fail with a learner's name, address and message in the locals and in the words."""
    learner = Learner.objects.order_by("pk")[0]
    text = Delivery.objects.values_list("text", flat=True).first() or "no text"
    raise ValueError(f"cannot tell {learner.name} <{learner.email}>: {text}")


@dramatiq.actor(queue_name="trouble", max_retries=0, time_limit=10_000, max_age=10_000)
def fail() -> None:
    """A task that fails."""
    stumble()
