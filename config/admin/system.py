"""Pages of others' models, and of which processes are alive."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django_dramatiq.models import Task
from unfold.admin import ModelAdmin
from waffle.admin import FlagAdmin as WaffleFlagAdmin
from waffle.admin import SwitchAdmin as WaffleSwitchAdmin
from waffle.models import Flag, Sample, Switch

from config.admin.verdict import PILLS
from config.console.pages import Console
from config.console.seen import Seen, SeenForm
from config.console.words import moment, pill
from delivery.models import Heartbeat
from delivery.selectors import standing
from nurture import flags
from nurture.models import HourlyFigure
from nurture.services.scorecard import uptime

MINUTES = 60  # of an hour

for theirs in (Flag, Switch, Sample, Task):
    admin.site.unregister(theirs)


class FlagForm(SeenForm):
    """An old page does not bring back an old share."""

    sees = ("everyone", "percent")


class SwitchForm(SeenForm):
    """An old page does not turn on again what somebody has switched off."""

    sees = ("active",)


@admin.register(Flag)
class FlagAdmin(Seen, WaffleFlagAdmin, ModelAdmin):
    """Who takes part. The percentage is drawn once for each learner and stays (rollout)."""

    form = FlagForm
    actions = ()  # a flag is changed on its page, where one sees what it was
    readonly_fields = ("created", "modified")


@admin.register(Switch)
class SwitchAdmin(Seen, WaffleSwitchAdmin, ModelAdmin):
    """What is on. Saving goes through the same service as `manage.py switch`."""

    form = SwitchForm
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
    """In how many minutes of each hour the clock, a worker, the poller and the web were seen."""

    list_display = ("at", "name", "share", "seen")
    list_filter = ("name",)
    sortable_by = ()
    ordering = ("-hour", "name")
    list_before_template = "admin/delivery/heartbeats.html"
    told = (
        "Where uptime comes from: each hour has the minutes in which a process was seen. A minute"
        " in which none was seen counts as down, whatever the reason; before the first there was"
        " nothing to see. With a webhook there is no poller."
    )
    empty_words = (
        "No process was seen yet. Start manage.py runclock and manage.py rundramatiq; "
        "each is noted every quarter of a minute."
    )

    def heading(self, row: Heartbeat) -> str:
        """By what was alive."""
        return f"heartbeat of the {row.name}"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the real clock, as beats are never simulated."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.annotate(now=Now())

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The week of each process stands above its hours, as in "Go or no go"."""
        week = [(item, *PILLS[item.verdict]) for item in uptime(standing().processes)]
        context: dict[str, Any] = {"uptime": week, **(extra_context or {})}
        page: TemplateResponse = super().changelist_view(request, context)
        return page

    @admin.display(description="hour", ordering="hour")
    def at(self, row: Heartbeat) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.hour)

    @admin.display(description="minutes seen", ordering="minutes")
    def share(self, row: Any) -> SafeString | str:
        """Of the hour; what is lacking catches the eye once it is over."""
        if row.hour + timedelta(hours=1) > row.now:
            return f"{row.minutes} so far"
        if row.minutes == MINUTES:
            return "all 60"
        return pill("warn", f"{row.minutes} of 60", f"not seen for {MINUTES - row.minutes} min")

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
