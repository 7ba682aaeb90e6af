"""What was concluded, why, and what was promised; and the way to put it right."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
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
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter
from unfold.decorators import display

from attendance import models, services
from attendance.admin.base import (
    OUTCOME_COLOURS,
    because,
    class_of,
    class_words,
    clock,
    learner_of,
    minutes_of,
    person,
    spaced,
    table,
)
from attendance.admin.class_rows import corrections_of
from attendance.admin.phrases import effects, outcome_pill, rule_words
from attendance.domain.kinds import Origin
from attendance.selectors import OutcomeExplanation, explain_outcome
from attendance.services import review
from attendance.services.answers import ReviewError
from config.console.confirmation import Question
from config.console.pages import Console, Titled, may, once
from config.console.words import absolute as moment

QUESTION = "admin:attendance_reviewitem_change"


@admin.register(models.Outcome)
class OutcomeAdmin(Console):
    """What was concluded, and why."""

    list_display = (learner_of, class_of, "label", minutes_of, "effective", because)
    list_display_links = ("label",)
    list_select_related = ("learner", "session", "policy")
    list_filter = (
        ("outcome", ChoicesDropdownFilter),
        "effective",
        "is_current",
        ("decided_at", RangeDateFilter),
    )
    search_fields = (
        "learner__email",
        "learner__name__words",
        "session__event_id",
        "session__title",
    )
    search_help_text = "A learner's name or address, a class, or a Calendar event id"
    ordering = ("-pk",)
    fieldsets: Any = (
        (
            None,
            {
                "fields": (
                    learner_of, class_of, "label", because, "would_change", minutes_of, "came",
                    "left", "effective", "decided", "decided_by", "note", "correct",
                )
            },
        ),
        ("The rules, in order", {"fields": ("rules",)}),
        ("The records", {"fields": ("records",)}),
        (
            "How it was judged",
            {
                "fields": (
                    "share", "flags", "revision", "is_current", "origin", "policy",
                    "effective_at",
                ),
                "classes": ("collapse",),
            },
        ),
    )  # fmt: skip
    readonly_fields = (
        learner_of, class_of, "label", because, minutes_of, "decided", "would_change", "came",
        "left", "correct", "rules", "records",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.Outcome]:
        """With whose it is, of which class, and by which policy; the page shows them, too."""
        return super().get_queryset(request).select_related(*self.list_select_related)

    def heading(self, row: models.Outcome) -> str:
        """By learner and class."""
        return f"{person(row.learner)}: {spaced(row.outcome)}"

    @display(description="outcome", label=OUTCOME_COLOURS)
    def label(self, row: models.Outcome) -> str:
        """As a coloured label."""
        return spaced(row.outcome)

    @admin.display(description="concluded")
    def decided(self, row: models.Outcome) -> str:
        """When."""
        return moment(row.decided_at)

    @admin.display(description="came")
    def came(self, row: models.Outcome) -> str:
        """The first join."""
        return moment(row.first_join_at)

    @admin.display(description="left")
    def left(self, row: models.Outcome) -> str:
        """The last leave."""
        return moment(row.last_leave_at)

    @admin.display(description="what would change it")
    def would_change(self, row: models.Outcome) -> str:
        """In a sentence."""
        return self._explained(row).would_change

    @admin.display(description="rules")
    def rules(self, row: models.Outcome) -> SafeString:
        """Each with what it saw and whether it held, as of now."""
        found = [
            ("✓ holds" if rule["passed"] else "✗ decides", rule_words(rule["rule"], rule["input"]))
            for rule in self._explained(row).rules
        ]
        return table(("", "rule"), found)

    @admin.display(description="records")
    def records(self, row: models.Outcome) -> SafeString | str:
        """Each device of theirs in the calls of this class, and what may be theirs, too."""
        found = self._explained(row)
        guests = format_html_join(
            "", "<p>Unresolved: {} ({})</p>",
            ((guest["shows"] or "somebody without a name", spaced(guest["why"]))
             for guest in found.guests),
        )  # fmt: skip
        seen = [
            (
                device["device"] or "device",
                clock(datetime.fromisoformat(device["joined"])),
                clock(datetime.fromisoformat(device["left"])),
                spaced(device["recognised_by"].replace(":", ", ")),
            )
            for device in found.records
        ]
        if not seen:
            return guests or "Google's log shows no device of theirs in this class."
        return format_html("{}{}", table(("device", "came", "left", "recognised by"), seen), guests)

    @admin.display(description="not right?")
    def correct(self, row: models.Outcome) -> SafeString | str:
        """The way to put it right, where the effect is shown before it is taken."""
        if not row.is_current:
            return "A later revision stands."
        return format_html(
            '<a class="tb-button" href="{}">Correct this outcome…</a>',
            reverse("admin:attendance_outcome_correct", args=[row.pk]),
        )

    def get_urls(self) -> list[URLPattern]:
        """With the page that puts an outcome right."""
        to = self.admin_site.admin_view(self.correct_view)
        own = path("<int:pk>/correct/", to, name="attendance_outcome_correct")
        return [own, *super().get_urls()]

    def correct_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Choose what it was, see what that does, confirm. What staff are asked is answered there.

        Safe to send twice: the same decision again changes nothing.
        """
        if not request.user.has_perm("attendance.decide_review"):
            raise PermissionDenied
        rows = models.Outcome.objects.select_related("learner", "session__course")
        row: Any = get_object_or_404(rows, pk=pk)
        row.in_words = self.heading(row)
        present = rows.filter(learner=row.learner, session=row.session, is_current=True).first()
        if present is not None and present.pk != row.pk and not self._is_done(request, present):
            return self._show_newer(request, present)
        asked = models.ReviewItem.objects.filter(
            learner=row.learner_id, session=row.session_id, state="open"
        ).first()
        if asked is not None:
            return HttpResponseRedirect(reverse(QUESTION, args=[asked.pk]))
        if request.method == "POST":
            return self._correct(request, row)
        to, effect, refused = request.GET.get("to", ""), None, ""
        try:
            effect = (
                review.preview_correction(outcome=row, to=to, now=timezone.now()) if to else None
            )
        except ReviewError as error:
            to, refused = "", str(error)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "original": row, "row": row, "to": to, "refused": refused,
            "title": f"{person(row.learner)}: what was it?",
            "class_words": class_words(row.session),
            "label": outcome_pill(row.outcome), "because": because(row),
            "choices": [(code, words, code == to) for code, words in corrections_of(row)],
            "effect": effects(effect),
        }  # fmt: skip
        return TemplateResponse(request, "admin/attendance/outcome/correct.html", context)

    def _is_done(self, request: HttpRequest, present: models.Outcome) -> bool:
        """Whether what is sent is what a person decided already: a second click."""
        return present.origin == Origin.STAFF and request.POST.get("to") == present.outcome

    def _show_newer(self, request: HttpRequest, present: models.Outcome) -> HttpResponse:
        """The page was of an earlier revision, and whoever has it has not seen what stands now."""
        by = f" by {present.decided_by}" if present.decided_by else ""
        words = f"It was judged anew meanwhile{by}: {spaced(present.outcome)}. Nothing was changed."
        messages.warning(request, words)
        at = reverse("admin:attendance_outcome_correct", args=[present.pk])
        return HttpResponseRedirect(at)

    def _correct(self, request: HttpRequest, row: models.Outcome) -> HttpResponse:
        to, note = request.POST.get("to", ""), request.POST.get("note", "").strip()
        back = reverse("admin:attendance_classsession_change", args=[row.session_id])
        try:
            changed = review.correct(
                outcome=row, to=to, by=request.user.get_username(), note=note, now=timezone.now()
            )
        except ReviewError as error:
            messages.error(request, f"{error} Nothing was changed.")
            return HttpResponseRedirect(back)
        self.log_change(request, row, f"corrected: {to} {note}".strip())
        for one in changed:
            before, after = spaced(one.before), spaced(one.after)
            messages.success(request, f"{person(one.learner)}: {before} → {after}.")
        if not changed:
            messages.info(request, "That is what stands; nothing changed.")
        return HttpResponseRedirect(f"{back}?learner={row.learner_id}#learner-{row.learner_id}")

    @once
    def _explained(self, row: Any) -> OutcomeExplanation:
        """Asked for by several fields of one page, gathered once."""
        return explain_outcome(learner=row.learner, session=row.session, now=timezone.now())


class PledgeForm(forms.ModelForm):
    """What staff may note for a learner; what became of it is not theirs to say."""

    state = forms.ChoiceField(
        label="said",
        choices=[("asked", "was asked"), ("yes", "yes"), ("no", "no"), ("excused", "excused")],
    )


@admin.register(models.Pledge)
class PledgeAdmin(Titled):
    """Who said that they will come."""

    form = PledgeForm
    fields = ("learner", "session", "state")
    autocomplete_fields = ("learner", "session")
    actions = ("excuse",)

    list_display = (learner_of, class_of, "label", "answered", "source")
    list_display_links = ("label",)
    list_select_related = ("learner", "session")
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields = ("learner__email", "learner__name__words")
    ordering = ("-pk",)

    @display(
        description="said",
        label={"yes": "success", "kept": "success", "no": "warning", "broken": "danger"},
    )
    def label(self, row: models.Pledge) -> str:
        """As a coloured label."""
        return row.state

    @admin.display(description="answered", ordering="answered_at")
    def answered(self, row: models.Pledge) -> str:
        """When."""
        return moment(row.answered_at)

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Note a new answer instead; the last one counts."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """What somebody said is history."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the services that the bot uses."""
        source, now = f"staff:{request.user.get_username()}"[:32], timezone.now()
        said = {"learner": obj.learner, "session": obj.session, "now": now}
        if obj.state == "excused":
            row = services.excuse_pledge(**said, by=request.user.get_username())
        elif obj.state == "asked":
            row = services.ask_pledge(**said, source=source)
        else:
            row = services.pledge(**said, answer=obj.state == "yes", source=source)
        obj.pk = row.pk

    has_excuse_permission = may("attendance.excuse_pledge")

    @admin.action(description="Excuse these", permissions=["excuse"])
    def excuse(self, request: HttpRequest, rows: QuerySet[models.Pledge]) -> HttpResponse | None:
        """They are held to it no more."""

        def act(chosen: QuerySet[models.Pledge]) -> str:
            found = list(chosen)
            for row in found:
                services.excuse_pledge(
                    learner=row.learner, session=row.session, by=request.user.get_username(),
                    now=timezone.now(),
                )  # fmt: skip
            return f"{len(found)} excused."

        return self.confirm(
            request,
            rows.select_related("learner", "session"),
            Question(
                title="Excuse these {count}?",
                effect="Nobody holds them to what they said about these classes.",
                button="Excuse {count}",
                heads=("Learner", "Class", "Said"),
                row=lambda row: (person(row.learner), class_words(row.session), row.state),
                act=act,
            ),
        )

    def heading(self, row: models.Pledge) -> str:
        """By the learner's name."""
        return f"{person(row.learner)}: {row.state}"
