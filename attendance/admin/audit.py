"""The weekly audit: was this outcome right? One click a pair."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from attendance import models, services
from attendance.admin.base import OUTCOME_COLOURS, class_words, person, spaced
from attendance.domain.kinds import AuditVerdict, OutcomeKind
from attendance.domain.reasons import EXPLAIN, Reason
from attendance.selectors.accuracy import audit_figures
from attendance.services.corrections import DECIDABLE
from config.console.pages import Console
from config.console.words import link

WEEKS = 12
BUTTON = (
    "cursor-pointer rounded-default border border-base-200 px-2 py-1 text-sm "
    "hover:border-primary-500 dark:border-base-700"
)


@admin.register(models.AuditPair)
class AuditPairAdmin(Console):
    """Twenty outcomes of last week, drawn at random, with the evidence."""

    list_display = ("what", "said", "evidence", "label", "buttons")
    list_display_links = None
    list_filter = (("verdict", ChoicesDropdownFilter), "week")
    search_fields = ("outcome__learner__name", "outcome__learner__email")
    ordering = ("-week", "verdict", "pk")
    actions = ()
    change_list_template = "admin/attendance/auditpair/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.AuditPair]:
        """With all that a row shows; whether it may be judged is the same for all."""
        self.may_judge = request.user.has_perm("attendance.judge_audit")
        rows = super().get_queryset(request)
        return rows.select_related("outcome__learner", "outcome__session__course")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The figures of the last weeks stand above the pairs."""
        found = audit_figures(weeks=WEEKS, now=timezone.now())
        figures = [share for share in found.shares if not share.name.startswith("identity")]
        context = {"figures": figures, "weeks": WEEKS, **(extra_context or {})}
        found_page: TemplateResponse = super().changelist_view(request, context)
        return found_page

    @admin.display(description="learner and class")
    def what(self, row: models.AuditPair) -> SafeString:
        """Both, as links."""
        outcome = row.outcome
        return format_html(
            "{}<br>{}",
            link(outcome.learner, person(outcome.learner)),
            link(outcome.session, class_words(outcome.session)),
        )

    @display(description="we say", label=OUTCOME_COLOURS)
    def said(self, row: models.AuditPair) -> str:
        """Our outcome."""
        return spaced(row.outcome.outcome)

    @admin.display(description="because")
    def evidence(self, row: models.AuditPair) -> SafeString:
        """In a sentence, with the way to all of it."""
        outcome = row.outcome
        why = EXPLAIN[Reason(outcome.reason)]
        seen = f"{outcome.present_seconds // 60} minutes. {why} "
        return format_html("{}{}", seen, link(outcome, "All of it"))

    @display(
        description="judged",
        label={"right": "success", "wrong": "danger", "cannot tell": "info", "open": "warning"},
    )
    def label(self, row: models.AuditPair) -> str:
        """As a coloured label."""
        return spaced(row.verdict) or "open"

    @admin.display(description="what was it?")
    def buttons(self, row: models.AuditPair) -> SafeString | str:
        """Right, what it was instead, or nobody can tell."""
        if not self.may_judge:
            return spaced(row.truth) or "–"
        to = reverse("admin:attendance_auditpair_judge", args=[row.pk])
        others = [kind for kind in DECIDABLE if kind != row.outcome.outcome]
        options = [
            ("right", "right"),
            *((kind.value, spaced(kind.value)) for kind in others),
            ("cannot_tell", "cannot tell"),
        ]
        # The list stands in a form of Django's own; each button says where it sends to.
        return format_html(
            '<span class="flex flex-wrap gap-1">{}</span>',
            format_html_join(
                "",
                '<button type="submit" formaction="{}" formmethod="post" name="said" value="{}" '
                'class="{}">{}</button>',
                ((to, value, BUTTON, words) for value, words in options),
            ),
        )

    def get_urls(self) -> list[URLPattern]:
        """With the address that the buttons send to."""
        to = self.admin_site.admin_view(self.judge)
        own = path("<int:pk>/judge/", to, name="attendance_auditpair_judge")
        return [own, *super().get_urls()]

    def judge(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Note what somebody says of a pair."""
        if request.method != "POST" or not request.user.has_perm("attendance.judge_audit"):
            raise PermissionDenied
        pair = get_object_or_404(models.AuditPair, pk=pk)
        said = request.POST.get("said", "")
        by, now = request.user.get_username(), timezone.now()
        try:
            if said in set(OutcomeKind):
                services.judge_audit(
                    pair=pair, verdict=AuditVerdict.WRONG, truth=OutcomeKind(said), by=by, now=now
                )
            else:
                services.judge_audit(
                    pair=pair, verdict=AuditVerdict(said), truth=None, by=by, now=now
                )
            messages.success(request, "Noted. An outcome is put right on its own page.")
        except ValueError as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(reverse("admin:attendance_auditpair_changelist"))
