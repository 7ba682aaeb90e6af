"""May we go live? The list of `manage.py go_no_go`, for staff. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from config import go_no_go
from config.admin.overview import MAY_SEE
from delivery.clock import now
from nurture.domain.scorecard import Item, overall

#: Who may have Telegram and Google asked: it makes this process wait for them.
MAY_ASK = "delivery.switch_gate"
PILLS = {"pass": ("good", "pass"), "fail": ("bad", "fail"), "not_yet": ("calm", "not yet")}
#: What the page says first. What needs an act stands above what needs time.
WORDS = {
    "fail": ("bad", "No go: what fails has to be mended first."),
    "not_yet": ("info", "No go yet: nothing fails, but not everything is known."),
    "pass": ("good", "Go: every criterion passes."),
}


@require_GET
@never_cache
def verdict(request: HttpRequest) -> HttpResponse:
    """Every criterion with value, source, time and verdict; `?ask=1` asks those outside, too."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    may_ask = request.user.has_perm(MAY_ASK)
    present, asked = now(), may_ask and bool(request.GET.get("ask"))
    items = go_no_go.judge(now=present, ask=asked)
    page = {
        "title": "Go or no go",
        "words": WORDS[overall(items)],
        "counts": _counts(items),
        "rows": [
            (item, *PILLS[item.verdict], parse_datetime(item.time) if item.time else present)
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
