"""May we go live? The list of `manage.py go_no_go`, for staff. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from config import go_no_go
from config.admin.overview import MAY_SEE, Page
from delivery.clock import now
from nurture.domain.scorecard import Item, overall

#: Who may have Telegram and Google asked, and the invariants examined: this process waits for it.
MAY_ASK = "delivery.switch_gate"
PILLS = {"pass": ("good", "pass"), "fail": ("bad", "fail"), "not_yet": ("calm", "not yet")}
#: Where to look, by criterion: (app.model, filter). What is not here is a setting of the server.
LOOK: Mapping[str, tuple[str, dict[str, str]]] = {
    "delivery_success": ("delivery.delivery", {"status__exact": "failed"}),
    "activation_accuracy": ("nurture.journey", {"status__exact": "exited"}),
    "error_rate": ("delivery.deaddelivery", {}),
    "engagement": ("delivery.inboundupdate", {}),
    "completion": ("nurture.journey", {"status__exact": "completed"}),
    "uptime_web": ("delivery.heartbeat", {"name": "web"}),
    "uptime_worker": ("delivery.heartbeat", {"name": "worker"}),
    "uptime_clock": ("delivery.heartbeat", {"name": "clock"}),
    "correlation": ("attendance.auditpair", {}),
    "false_activations": ("nurture.stafftask", {}),
    "audit": ("nurture.auditfinding", {}),
    "oldest_due": ("delivery.delivery", {"status__exact": "pending"}),
    "open_alerts": ("nurture.alertepisode", {}),
    "google_sync": ("attendance.syncrun", {}),
    "backup": ("nurture.backuprun", {"kind__exact": "backup"}),
    "rehearsal": ("nurture.backuprun", {"kind__exact": "rehearsal"}),
    "staff": ("auth.user", {}),
    "flags": ("waffle.flag", {}),
    "updates": ("delivery.inboundupdate", {}),
    "google": ("attendance.syncrun", {}),
    "calendars": ("attendance.course", {}),
    "gates": ("delivery.gate", {}),
    "processes": ("delivery.heartbeat", {}),
}
#: What the page says first. What needs an act stands above what needs time.
WORDS = {
    "fail": ("bad", "No go: what fails has to be mended first."),
    "not_yet": ("info", "No go yet: nothing fails, but not everything is known."),
    "pass": ("good", "Go: every criterion passes."),
}


@require_GET
@never_cache
def verdict(request: HttpRequest) -> HttpResponse:
    """Every criterion with value, source, time and verdict; `?ask=1` asks as the command does."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    may_ask = request.user.has_perm(MAY_ASK)
    present, asked = now(), may_ask and bool(request.GET.get("ask"))
    items, page_of = go_no_go.judge(now=present, ask=asked), Page(request)
    page = {
        "title": "Go or no go",
        "words": WORDS[overall(items)],
        "counts": _counts(items),
        "rows": [
            {
                "item": item,
                "pill": PILLS[item.verdict],
                "url": page_of.list(*LOOK[item.name]) if item.name in LOOK else "",
                "at": parse_datetime(item.time) if item.time else present,
            }
            for item in sorted(items, key=lambda item: list(WORDS).index(item.verdict))
        ],
        "may_ask": may_ask,
        "asked": asked,
    }
    return TemplateResponse(
        request, "admin/verdict.html", {**admin.site.each_context(request), **page}
    )


def _counts(items: Sequence[Item]) -> list[tuple[Any, ...]]:
    """How many of each verdict: tone, words, number."""
    return [(*PILLS[name], sum(item.verdict == name for item in items)) for name in WORDS]
