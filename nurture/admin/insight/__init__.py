"""What staff see of a sequence at work: timeline, walk-through, backtest, effect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from nurture.admin.insight.asked import BacktestRunAdmin
from nurture.admin.insight.backtest import backtest_page
from nurture.admin.insight.effect import effect_page
from nurture.admin.insight.frame import Page
from nurture.admin.insight.leaving import leaving_page
from nurture.admin.insight.timeline import runs_page, timeline_page
from nurture.admin.insight.walkthrough import walkthrough_page

__all__ = ["BacktestRunAdmin", "InsightPages"]

_OF_ONE: dict[str, Callable[[Page], HttpResponse]] = {
    "timeline": timeline_page,
    "runs": runs_page,
    "walkthrough": walkthrough_page,
    "backtest": backtest_page,
    "effect": effect_page,
}


class InsightPages:
    """For the admin class of sequences: its pages about sequences at work."""

    admin_site: Any
    opts: Any
    has_view_permission: Callable[..., bool]
    change_form_before_template = "admin/nurture/timeline_links.html"
    list_before_template = "admin/nurture/timeline_list.html"

    def get_urls(self) -> list[URLPattern]:
        """A page of each kind for every sequence, and one about all of them."""
        ours = [
            path(f"<int:pk>/{name}/", self._view(page), name=f"nurture_sequence_{name}")
            for name, page in _OF_ONE.items()
        ]
        every = path("leaving/", self._view(leaving_page), name="nurture_sequence_leaving")
        theirs: list[URLPattern] = super().get_urls()
        return [*ours, every, *theirs]

    def _view(self, page: Callable[[Page], HttpResponse]) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, pk: int | None = None) -> HttpResponse:
            if not self.has_view_permission(request):
                raise PermissionDenied
            if request.method == "POST" and page is not backtest_page:
                raise PermissionDenied
            return page(Page(admin=self, request=request, pk=pk))

        wrapped: Callable[..., HttpResponse] = self.admin_site.admin_view(view)
        return wrapped
