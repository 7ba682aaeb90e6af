"""Pages of others' models, and of which processes are alive."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django_dramatiq.models import Task
from unfold.admin import ModelAdmin
from waffle.admin import FlagAdmin as WaffleFlagAdmin
from waffle.admin import SwitchAdmin as WaffleSwitchAdmin
from waffle.models import Flag, Sample, Switch

from config.console.pages import Console
from config.console.words import moment
from delivery.models import Heartbeat
from nurture import flags
from nurture.models import HourlyFigure

for theirs in (Flag, Switch, Sample, Task):
    admin.site.unregister(theirs)


@admin.register(Flag)
class FlagAdmin(WaffleFlagAdmin, ModelAdmin):
    """Who takes part. The percentage is drawn once for each learner and stays (rollout)."""

    actions = ()  # a flag is changed on its page, where one sees what it was
    readonly_fields = ("created", "modified")


@admin.register(Switch)
class SwitchAdmin(WaffleSwitchAdmin, ModelAdmin):
    """What is on. Saving goes through the same service as `manage.py switch`."""

    actions = ()  # bulk changes would bypass the gate
    readonly_fields = ("name", "created", "modified")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Switch, and close or open the gate that goes with it in the same transaction."""
        super().save_model(request, obj, form, change)
        by = request.user.get_username()
        if obj.name == "deliver":
            flags.set_deliver(on=obj.active, by=by)
        elif obj.name == "attendance":
            flags.set_attendance(on=obj.active)


@admin.register(Heartbeat)
class HeartbeatAdmin(Console):
    """In how many minutes of each hour the clock, a worker and the poller were seen."""

    list_display = ("at", "name", "share", "seen")
    list_filter = ("name",)
    ordering = ("-hour", "name")
    empty_words = (
        "No process was seen yet. Start manage.py runclock and manage.py rundramatiq; "
        "each is noted every quarter of a minute."
    )

    def heading(self, row: Heartbeat) -> str:
        """By what was alive."""
        return f"heartbeat of the {row.name}"

    @admin.display(description="hour", ordering="hour")
    def at(self, row: Heartbeat) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.hour)

    @admin.display(description="minutes seen", ordering="minutes")
    def share(self, row: Heartbeat) -> str:
        """Of the hour."""
        return f"{row.minutes} of 60"

    @admin.display(description="seen last", ordering="seen_at")
    def seen(self, row: Heartbeat) -> SafeString:
        """When."""
        return moment(row.seen_at)


@admin.register(HourlyFigure)
class HourlyFigureAdmin(Console):
    """What the trends of the overview are made from."""

    list_display = ("at", "name", "count")
    list_filter = ("name",)
    ordering = ("-hour", "name")
    empty_words = (
        "No hour was counted yet. The clock has each counted a few minutes after its end; until "
        "then the overview counts by itself."
    )

    def heading(self, row: HourlyFigure) -> str:
        """By what was counted."""
        return f"{row.name or 'nothing'} in one hour"

    @admin.display(description="hour", ordering="hour")
    def at(self, row: HourlyFigure) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.hour)
