"""What happened, counted by hour: kept, so that a trend never reads a million deliveries."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class HourlyFigure(models.Model):
    """How often something happened in one hour (UTC) that is over; domain/figures.py names what.

    The newest `hour` of all rows says up to where is counted; an hour of nothing has an empty name.
    """

    hour = models.DateTimeField()
    name = models.CharField(max_length=32, blank=True)
    count = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # Also read by the figures: all names of the last weeks, and the newest hour.
            models.UniqueConstraint(fields=["hour", "name"], name="nurture_hourlyfigure_once"),
            models.CheckConstraint(
                condition=~Q(name="") | Q(count=0), name="nurture_hourlyfigure_named"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.name} in {self.hour:%Y-%m-%d %H}"
