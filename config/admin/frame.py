"""The frame of the admin: badge and navigation."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

COLOURS = {"local": "info", "staging": "warning", "production": "danger"}

# (words, address, the permission it takes, symbol): pages of no model, above all groups.
FIRST = (
    ("Overview", "admin:index", "delivery.view_delivery", "monitoring"),
    ("Rollout", "rollout", "waffle.view_flag", "tune"),
    ("Go or no go", "go_no_go", "delivery.view_delivery", "verified"),
)

# (group, [(words, app_model, symbol)]) in the order in which staff think: what waits for them, who,
# what they came to, what they hear, what went out.
SIDEBAR: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "To do",
        (
            ("Reviews", "attendance_reviewitem", "rule"),
            ("Tasks", "nurture_stafftask", "task_alt"),
            ("Cannot be known", "delivery_unknowndelivery", "unknown_document"),
            ("Given up", "delivery_deaddelivery", "unsubscribe"),
            ("Audit", "attendance_auditpair", "balance"),
        ),
    ),
    (
        "People",
        (
            ("Learners", "attendance_learner", "person"),
            ("Contacts", "nurture_contact", "contacts"),
        ),
    ),
    (
        "Classes",
        (
            ("Courses", "attendance_course", "school"),
            ("Classes", "attendance_classsession", "event"),
            ("Outcomes", "attendance_outcome", "fact_check"),
            ("Facts", "attendance_attendanceevent", "campaign"),
        ),
    ),
    (
        "Sequences",
        (
            ("Sequences", "nurture_sequence", "account_tree"),
            ("Journeys", "nurture_journey", "route"),
            ("Dry runs", "nurture_wouldsend", "science"),
            ("Why", "nurture_decision", "help"),
            ("The bot's words", "nurture_bottext", "chat_info"),
        ),
    ),
    (
        "Delivery",
        (
            ("Deliveries", "delivery_delivery", "send"),
            ("Archive", "delivery_archiveddelivery", "inventory_2"),
            ("Chats", "delivery_chat", "chat"),
            ("Gates", "delivery_gate", "fence"),
            ("Updates", "delivery_inboundupdate", "inbox"),
        ),
    ),
    (
        "System",
        (
            ("Alerts", "nurture_alertepisode", "notifications"),
            ("Google readings", "attendance_syncrun", "sync"),
            ("Flags", "waffle_flag", "flag"),
            ("Switches", "waffle_switch", "toggle_on"),
            ("Jobs", "nurture_job", "schedule"),
            ("Backups", "nurture_backuprun", "backup"),
            ("Self-audit", "nurture_auditfinding", "verified_user"),
            ("Heartbeats", "delivery_heartbeat", "ecg_heart"),
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
        {"title": "", "separator": False, "items": _first(request)},
    ] + [
        {
            "title": title,
            "separator": True,
            "items": [_item(request, *entry) for entry in entries if _may_see(request, entry[1])],
        }
        for title, entries in SIDEBAR
    ]
    return [group for group in groups if group["items"]]


def _first(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {"title": words, "icon": symbol, "link": reverse(address)}
        for words, address, permission, symbol in FIRST
        if request.user.has_perm(permission)
    ]


def _item(request: HttpRequest, words: str, model: str, symbol: str) -> dict[str, Any]:
    return {"title": words, "icon": symbol, "link": reverse(f"admin:{model}_changelist")}


def _may_see(request: HttpRequest, model: str) -> bool:
    app, _, name = model.rpartition("_")
    return bool(request.user.has_perm(f"{app}.view_{name}"))
