"""Alerts: what stands and what stood, whom it was told, and silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.lists import SpanFilter
from config.console.pages import Console, ReadOnlyInline
from config.console.words import moment, pill
from delivery.clock import now
from nurture import models
from nurture.domain.alerts import CATALOGUE, Code, Rule
from nurture.services import telling

MAY_SILENCE = "nurture.silence_alerts"
LIST = "admin:nurture_alertepisode_changelist"
LENGTHS = {"30": "30 minutes", "120": "2 hours", "480": "8 hours", "1440": "1 day"}
CHANNELS = {"slack": "Slack", "pagerduty": "PagerDuty"}
WORDS = {"trigger": "that it began", "again": "that it still stands", "resolve": "that it is over"}


def _rule(row: models.AlertEpisode) -> Rule:
    return CATALOGUE[Code(row.code)]


class NoticeInline(ReadOnlyInline):
    """Whom it was told, and how that went."""

    model = models.AlertNotice
    ordering = ("pk",)
    fields = readonly_fields = ("whom", "what", "state", "at")
    verbose_name_plural = "what was told"

    @admin.display(description="where")
    def whom(self, row: models.AlertNotice) -> str:
        """The receiver by its name."""
        return CHANNELS.get(row.channel, row.channel)

    @admin.display(description="what")
    def what(self, row: models.AlertNotice) -> str:
        """In words."""
        return WORDS[row.kind]

    @admin.display(description="taken")
    def state(self, row: models.AlertNotice) -> SafeString:
        """Whether the receiver took it, and if not, what stood in the way."""
        if row.sent_at:
            return pill("good", "yes")
        why = f"{row.error}, tried {row.tries} times" if row.error else ""
        return pill("warn", "not yet", why)

    @admin.display(description="when")
    def at(self, row: models.AlertNotice) -> SafeString:
        """When it was taken, else when it was written."""
        return moment(row.sent_at or row.created_at)


@admin.register(models.AlertEpisode)
class AlertEpisodeAdmin(Console):
    """What stands now, then what stood."""

    list_display = ("what", "stands", "seen", "began", "ended")
    list_filter = (
        ("code", ChoicesDropdownFilter),
        ("severity", ChoicesDropdownFilter),
        ("seen_since", SpanFilter),
    )
    sortable_by = ()
    ordering = (F("resolved_at").desc(nulls_first=True), "-pk")
    actions = ()
    inlines = (NoticeInline,)
    fields = readonly_fields = ("what", "stands", "seen", "do", "runbook", "began", "ended")
    list_before_template = "admin/nurture/alerts.html"
    empty_words = (
        "Nothing was wrong for long enough to tell. The clock looks every quarter of a minute; "
        "what it finds is told in Slack and PagerDuty where they are set."
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """What stood for too short a time to be told is not shown."""
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.filter(opened_at__isnull=False)

    def heading(self, row: models.AlertEpisode) -> str:
        """By its title."""
        return _rule(row).title

    @admin.display(description="alert")
    def what(self, row: models.AlertEpisode) -> str:
        """Its title, and of what."""
        return f"{_rule(row).title}{f' ({row.subject})' if row.subject else ''}"

    @admin.display(description="state")
    def stands(self, row: models.AlertEpisode) -> SafeString:
        """Open, or over."""
        return pill("calm", "over") if row.resolved_at else pill(_rule(row).tone, row.severity)

    @admin.display(description="what was seen")
    def seen(self, row: models.AlertEpisode) -> str:
        """As it was told last."""
        return row.words

    @admin.display(description="what to do")
    def do(self, row: models.AlertEpisode) -> str:
        """In a sentence."""
        return _rule(row).do

    @admin.display(description="in the handbook")
    def runbook(self, row: models.AlertEpisode) -> str:
        """Where to read on."""
        return f"docs/operations/alerts.md, {row.code}"

    @admin.display(description="began")
    def began(self, row: models.AlertEpisode) -> SafeString:
        """When it was seen first."""
        return moment(row.seen_since)

    @admin.display(description="over")
    def ended(self, row: models.AlertEpisode) -> SafeString:
        """When it was gone for good."""
        return moment(row.resolved_at)

    def get_urls(self) -> list[URLPattern]:
        """Silence, and its end."""
        view = self.admin_site.admin_view(self.silence_view)
        return [path("silence/", view, name="nurture_alertepisode_silence"), *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Whether they are told now stands above them."""
        context = {
            "silence": telling.current_silence(now=now()),
            "told_in": " and ".join(name for name, is_set in _receivers() if is_set),
            "lengths": LENGTHS,
            "may_silence": request.user.has_perm(MAY_SILENCE),
            **(extra_context or {}),
        }
        page: TemplateResponse = super().changelist_view(request, context)
        return page

    def silence_view(self, request: HttpRequest) -> HttpResponse:
        """Tell nobody for a while, or tell again; both are kept in the audit log."""
        if request.method != "POST" or not request.user.has_perm(MAY_SILENCE):
            raise PermissionDenied
        length, present = request.POST.get("length", ""), now()
        if "speak" in request.POST:
            ended = telling.current_silence(now=present)
            telling.end_silence(now=present)
            self._note(request, ended, "Alerts are told again.")
        elif length in LENGTHS:
            made = telling.silence(
                length=timedelta(minutes=int(length)), reason=request.POST.get("reason", ""),
                by=request.user.get_username(), now=present,
            )  # fmt: skip
            self._note(request, made, f"Nobody is told for {LENGTHS[length]}.")
        else:
            self.message_user(request, "Say for how long. Nothing was changed.", messages.ERROR)
        return HttpResponseRedirect(reverse(LIST))

    def _note(self, request: HttpRequest, row: models.AlertSilence | None, said: str) -> None:
        if row is not None:
            user: Any = request.user
            LogEntry.objects.log_actions(user.pk, [row], CHANGE, said, single_object=True)
        self.message_user(request, said, messages.SUCCESS)


def _receivers() -> Iterator[tuple[str, bool]]:
    yield "Slack", bool(settings.SLACK_WEBHOOK_URL)
    yield "PagerDuty", bool(settings.PAGERDUTY_ROUTING_KEY)


@admin.register(models.AlertSilence)
class AlertSilenceAdmin(Console):
    """When nobody was told, why, and who wanted it so."""

    list_display = ("began", "ended", "by", "reason")
    ordering = ("-pk",)
    actions = ()
    empty_words = "Alerts were never silenced. The button is above the list of alerts."

    def heading(self, row: models.AlertSilence) -> str:
        """By who wanted it."""
        return f"silence by {row.by}"

    @admin.display(description="from")
    def began(self, row: models.AlertSilence) -> SafeString:
        """When."""
        return moment(row.since)

    @admin.display(description="until")
    def ended(self, row: models.AlertSilence) -> SafeString:
        """When."""
        return moment(row.until)
