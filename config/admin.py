"""The frame of the admin: badge, navigation, the figures on the first page, others' models."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django_dramatiq.models import Task
from unfold.admin import ModelAdmin
from waffle.admin import FlagAdmin as WaffleFlagAdmin
from waffle.admin import SwitchAdmin as WaffleSwitchAdmin
from waffle.models import Flag, Sample, Switch

from attendance.models import ClassSession, Outcome, ReviewItem, SyncRun
from config import staff_admin
from delivery import selectors
from delivery.clock import now
from delivery.models import Delivery
from nurture import flags
from nurture.models import Journey, StaffTask

__all__ = ["dashboard", "environment_badge", "navigation", "staff_admin"]
COLOURS = {"local": "info", "staging": "warning", "production": "danger"}

# (group, [(words, app_model, symbol)]) in the order in which staff think: who, what, what went out.
SIDEBAR: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "People",
        (
            ("Learners", "attendance_learner", "person"),
            ("Contacts", "nurture_contact", "contacts"),
            ("Reviews", "attendance_reviewitem", "rule"),
            ("Tasks", "nurture_stafftask", "task_alt"),
        ),
    ),
    (
        "Classes",
        (
            ("Courses", "attendance_course", "school"),
            ("Classes", "attendance_classsession", "event"),
            ("Outcomes", "attendance_outcome", "fact_check"),
            ("Audit", "attendance_auditpair", "balance"),
            ("Facts", "attendance_attendanceevent", "campaign"),
        ),
    ),
    (
        "Sequences",
        (
            ("Sequences", "nurture_sequence", "account_tree"),
            ("Journeys", "nurture_journey", "route"),
            ("Why", "nurture_decision", "help"),
            ("The bot's words", "nurture_bottext", "chat_info"),
        ),
    ),
    (
        "Delivery",
        (
            ("Deliveries", "delivery_delivery", "send"),
            ("Cannot be known", "delivery_unknowndelivery", "unknown_document"),
            ("Given up", "delivery_deaddelivery", "unsubscribe"),
            ("Chats", "delivery_chat", "chat"),
            ("Gates", "delivery_gate", "fence"),
            ("Updates", "delivery_inboundupdate", "inbox"),
        ),
    ),
    (
        "System",
        (
            ("Google readings", "attendance_syncrun", "sync"),
            ("Flags", "waffle_flag", "flag"),
            ("Switches", "waffle_switch", "toggle_on"),
        ),
    ),
    (
        "Staff",
        (
            ("Users", "auth_user", "badge"),
            ("Roles", "auth_group", "groups"),
            ("Audit log", "admin_logentry", "history"),
            ("Phones", "otp_totp_totpdevice", "phonelink_lock"),
            ("Login failures", "axes_accessattempt", "lock_person"),
        ),
    ),
)


def environment_badge(request: HttpRequest) -> list[str]:
    """Say in which world this page lives: text and colour of the badge."""
    return [settings.ENVIRONMENT.capitalize(), COLOURS[settings.ENVIRONMENT]]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar; what somebody may not see is not in it."""
    groups = [
        {
            "title": title,
            "separator": True,
            "items": [_item(request, *entry) for entry in entries if _may_see(request, entry[1])],
        }
        for title, entries in SIDEBAR
    ]
    return [group for group in groups if group["items"]]


def _item(request: HttpRequest, words: str, model: str, symbol: str) -> dict[str, Any]:
    return {"title": words, "icon": symbol, "link": reverse(f"admin:{model}_changelist")}


def _may_see(request: HttpRequest, model: str) -> bool:
    app, _, name = model.rpartition("_")
    return bool(request.user.has_perm(f"{app}.view_{name}"))


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The figures of the first page, each with the list it counts."""
    owed = [
        _figure(words, count, "delivery_delivery", f"status__exact={status}")
        for words, status, count in _owed()
    ]
    context["figures"] = [*_of_classes(), *owed, *_of_staff()]
    context["gates"] = selectors.closed_gates()
    context["last_sync"] = SyncRun.objects.filter(source="meet").order_by("-pk").first()
    context["is_empty"] = not ClassSession.objects.exists()
    return context


def _of_classes() -> list[dict[str, Any]]:
    present = now()
    settled = ClassSession.objects.filter(settled_at__gt=present - timedelta(days=7))
    missed = Outcome.objects.filter(
        is_current=True,
        effective=True,
        outcome="missed",
        decided_at__gt=present - timedelta(days=7),
    )
    journeys = Journey.objects.filter(status="active")
    sent = Delivery.objects.filter(sent_at__gt=present - timedelta(days=1))
    return [
        _figure(
            "Classes settled in a week",
            settled.count(),
            "attendance_classsession",
            "status__exact=settled",
        ),
        _figure(
            "Missed in a week",
            missed.count(),
            "attendance_outcome",
            "outcome__exact=missed&is_current__exact=1",
        ),
        _figure("Journeys under way", journeys.count(), "nurture_journey", "status__exact=active"),
        _figure("Sent in a day", sent.count(), "delivery_delivery", "status__exact=sent"),
    ]


def _of_staff() -> list[dict[str, Any]]:
    tasks = StaffTask.objects.filter(done_at=None)
    reviews = ReviewItem.objects.filter(state="open")
    return [
        _figure("Open tasks", tasks.count(), "nurture_stafftask", ""),
        _figure("Open reviews", reviews.count(), "attendance_reviewitem", "state__exact=open"),
    ]


def _owed() -> list[tuple[str, str, int]]:
    words = {
        "pending": "Waiting to go out",
        "unknown": "Cannot be known",
        "failed": "Refused by Telegram",
    }
    return [
        (said, status, Delivery.objects.filter(status=status).count())
        for status, said in words.items()
    ]


def _figure(words: str, value: int, model: str, query: str) -> dict[str, Any]:
    url = reverse(f"admin:{model}_changelist")
    return {"words": words, "value": value, "url": f"{url}?{query}" if query else url}


admin.site.index_title = "Overview"
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
