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
from attendance.domain.evaluation import Share, Verdict
from attendance.domain.kinds import AuditVerdict, OutcomeKind
from attendance.domain.reasons import EXPLAIN, Reason
from attendance.selectors.accuracy import audit_figures, newest_sample
from attendance.services.corrections import DECIDABLE
from config.console.pages import Console
from config.console.words import link

WEEKS = 12
OTHERS = "123456789"  # the keys of what it was instead
#: What staff read of a figure: its name in the domain → words, target.
FIGURES = {
    "strict accuracy": ("Right of all judged", "> 90 %, at its lower end"),
    "precision of absences": ("Called missed, and were", "98 %"),
    "false absences": ("Were there, but called missed", "at most 1 %"),
}
VERDICTS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.NOT_ENOUGH: "not_yet", None: ""}


@admin.register(models.AuditPair)
class AuditPairAdmin(Console):
    """Twenty outcomes of last week, drawn at random, with the evidence."""

    list_display = ("what", "said", "evidence", "label", "buttons")
    list_display_links = None
    list_filter = (("verdict", ChoicesDropdownFilter), "week")
    search_fields = ("outcome__learner__name__words", "outcome__learner__email")
    ordering = ("-week", "verdict", "pk")
    actions = ()
    empty_words = (
        "Every Monday twenty outcomes of the week before are drawn at random; whoever was there "
        "says whether they are right. That shows how far our outcomes can be trusted. "
        "`manage.py draw_audit` draws this week's now."
    )

    class Media:
        css = {"all": ("attendance/attendance.css",)}

    change_list_template = "admin/attendance/auditpair/change_list.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.AuditPair]:
        """With all that a row shows."""
        rows = super().get_queryset(request)
        return rows.select_related("outcome__learner", "outcome__session__course")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The first open pair is the one that keys speak of."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        next_up = next((row for row in rows if not row.verdict), None)
        may_judge = request.user.has_perm("attendance.judge_audit")
        for row in rows:
            row.may_judge, row.is_next = may_judge, row is next_up
        found.result_list = rows
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """The figures of the last weeks stand above the pairs, and what remains."""
        found = audit_figures(weeks=WEEKS, now=timezone.now())
        figures = [_figure(found.share(name), *words) for name, words in FIGURES.items()]
        context = {
            "figures": figures, "weeks": WEEKS, "sample": newest_sample(),
            "may_judge": request.user.has_perm("attendance.judge_audit"), **(extra_context or {}),
        }  # fmt: skip
        found_page: TemplateResponse = super().changelist_view(request, context)
        return found_page

    @admin.display(description="learner and class")
    def what(self, row: models.AuditPair) -> SafeString:
        """Both, as links."""
        outcome = row.outcome
        return format_html(
            "<span>{}<br>{}</span>",
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
        return format_html("<span>{}{}</span>", seen, link(outcome, "All of it"))

    @display(
        description="judged",
        label={"right": "success", "wrong": "danger", "cannot tell": "info", "open": "warning"},
    )
    def label(self, row: models.AuditPair) -> str:
        """As a coloured label."""
        return spaced(row.verdict) or "open"

    @admin.display(description="what was it?")
    def buttons(self, row: Any) -> SafeString | str:
        """Right, what it was instead, or nobody can tell."""
        if not row.may_judge:
            return spaced(row.truth) or "–"
        others = [kind for kind in DECIDABLE if kind != row.outcome.outcome]
        options = [
            ("right", "right", "y"),
            *(
                (kind.value, spaced(kind.value), key)
                for kind, key in zip(others, OTHERS, strict=False)
            ),
            ("cannot_tell", "cannot tell", "c"),
        ]
        to = reverse("admin:attendance_auditpair_judge", args=[row.pk])
        button = _keyed if row.is_next else _plain
        return format_html(
            '<span class="at-pills">{}</span>',
            format_html_join("", "{}", ((button(to, *option),) for option in options)),
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


def _plain(to: str, value: str, words: str, key: str) -> SafeString:
    """The list stands in a form of Django's own; each button says where it sends to."""
    return format_html(
        '<button type="submit" formaction="{}" formmethod="post" name="said" value="{}" '
        'class="tb-button at-small">{}</button>',
        to, value, words,
    )  # fmt: skip


def _keyed(to: str, value: str, words: str, key: str) -> SafeString:
    """As any, and pressed by a key as well: the pair is the next one."""
    return format_html(
        '<button type="submit" formaction="{}" formmethod="post" name="said" value="{}" '
        'class="tb-button at-small" data-key="{}" data-key-words="{}">{}<kbd>{}</kbd></button>',
        to, value, key, f"The first open pair: {words}", words, key,
    )  # fmt: skip


def _figure(share: Share, words: str, target: str) -> dict[str, str]:
    low, high = share.interval
    return {
        "words": words,
        "value": f"{share.hits} of {share.of}" if share.of else "–",
        "target": target,
        "verdict": VERDICTS[share.verdict] if share.of else "not_yet",
        "note": f"95 % interval: {low:.1%} to {high:.1%}" if share.of else "Nothing is judged yet.",
    }
