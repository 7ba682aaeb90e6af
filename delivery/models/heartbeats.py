"""Which processes were alive, and when."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q


class Process(models.TextChoices):
    """What has to run for anything to happen."""

    CLOCK = "clock", "clock (manage.py runclock)"
    WORKER = "worker", "worker (manage.py rundramatiq)"
    POLLER = "poller", "poller (manage.py runbot)"
    WEB = "web", "web (gunicorn; seen when it answers)"


class Heartbeat(models.Model):
    """In how many minutes of an hour one kind of process was seen; real clock, never simulated.

    One row for each kind and hour, however many processes there are. A row that was not written
    is the sign: nobody has to be alive to say that nobody was.
    """

    name = models.CharField(max_length=10, choices=Process)
    hour = models.DateTimeField()
    first_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField()

    class Meta:
        constraints = [
            # Also read by the overview and by alerts: the last week of each kind.
            models.UniqueConstraint(fields=["name", "hour"], name="delivery_heartbeat_once"),
            models.CheckConstraint(
                condition=Q(minutes__gte=1) & Q(minutes__lte=60), name="delivery_heartbeat_minutes"
            ),
            models.CheckConstraint(
                condition=Q(seen_at__gte=F("first_at")), name="delivery_heartbeat_period"
            ),
        ]

    def __str__(self) -> str:
        return f"heartbeat of {self.name} in {self.hour:%Y-%m-%d %H}"
