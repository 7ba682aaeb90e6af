"""The review queue: one question on a page, what an answer does, and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Case, F, IntegerField, QuerySet, When
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import pluralize
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from attendance.admin.base import class_of, person, spaced
from attendance.admin.phrases import effects
from attendance.admin.question_rows import answers_of, evidence_rows
from attendance.domain.kinds import ReviewKind
from attendance.models import Learner, ReviewItem
from attendance.selectors.questions import dossier, question
from attendance.selectors.queue import alike, next_open, progress
from attendance.services import review
from attendance.services.answers import LEAVE, ReviewError
from config.console.confirmation import Question
from config.console.pages import Console
from config.console.words import moment

LIST = "admin:attendance_reviewitem_changelist"
PAGE = "admin:attendance_reviewitem_change"
# What can be said of many guests at once; who somebody is must be looked at one by one.
TOGETHER = {"visitor": "visitors", "staff": "staff", "bot": "bots", LEAVE: "not to be told"}
MOST_TOGETHER = 200
MOST_NAMED = 5
# How many learners an open question holds up; a decided one nobody.
WAITING = Coalesce(Case(When(state="open", then=Cast(KT("evidence__holds"), IntegerField()))), 0)


def may_decide(request: HttpRequest) -> bool:
    """Whether this member of staff may answer questions."""
    return bool(request.user.has_perm("attendance.decide_review"))


@admin.register(ReviewItem)
class ReviewItemAdmin(Console):
    """Questions to staff, with the evidence."""

    list_display = ("words", class_of, "holds", "label", "asked")
    list_filter = (("state", ChoicesDropdownFilter), ("kind", ChoicesDropdownFilter))
    search_fields = (
        "learner__email", "learner__name__words", "mark", "session__title",
        "endpoint__display_name",
    )  # fmt: skip
    search_help_text = "A name or address as it stood in the call, a learner, or a class"
    # As they are gone through: open ones first, and of these what holds up most learners; then
    # what was decided last.
    ordering = ("-state", WAITING.desc(), F("decided_at").desc(), "pk")
    empty_words = (
        "Nobody has to decide anything. A question opens where records cannot tell: a guest who "
        "could be a learner, a learner who says that they were there, a class in which hardly "
        "anybody was seen. Until it is answered nobody concerned is called missed."
    )
    actions = ("as_visitors", "as_staff", "as_bots", "as_left")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReviewItem]:
        """With all that a question names; joined to guests, a list might read the log of calls."""
        rows: QuerySet[ReviewItem] = super().get_queryset(request)
        rows = rows.select_related("learner", "session__course", "course")
        where = request.resolver_match
        of_many = where is not None and str(where.url_name).endswith("_changelist")
        return rows.prefetch_related("endpoint") if of_many else rows.select_related("endpoint")

    def heading(self, row: ReviewItem) -> str:
        """The question."""
        return question(row)

    @admin.display(description="question")
    def words(self, row: ReviewItem) -> str:
        """In a sentence."""
        return question(row)

    @admin.display(description="learners waiting", ordering=WAITING)
    def holds(self, row: ReviewItem) -> int:
        """How many outcomes wait for the answer."""
        return int(row.evidence.get("holds", 0))

    @display(description="state", label={"open": "warning", "decided": "success"})
    def label(self, row: ReviewItem) -> str:
        """As a coloured label."""
        return row.state

    @admin.display(description="asked", ordering="created_at")
    def asked(self, row: ReviewItem) -> SafeString:
        """Since when it is open."""
        return moment(row.created_at)

    # --- one question ---------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the question and, once an answer is chosen, its effect; POST takes the decision."""
        item = self.get_object(request, object_id)
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        if item is None:
            return HttpResponseRedirect(reverse(LIST))
        if request.method == "POST":
            return self._decide(request, item)
        about = dossier(item)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "original": item, "title": about.question, "item": item,
            "about": about, "evidence": evidence_rows(item, about),
            "answers": answers_of(item, about),
            "decided_words": review.words_of(item, item.decision) if item.decision else "",
            "may_decide": may_decide(request), "found": self._search(request),
            "next": next_open(after=item), "progress": progress(since=_today()),
            "alike": alike(item) if item.state == "open" else [],
            "done": self._done(request), "class_words": class_of(item),
            **self._effect(request, item), **(extra_context or {}),
        }  # fmt: skip
        return TemplateResponse(request, "admin/attendance/reviewitem/decide.html", context)

    def _effect(self, request: HttpRequest, item: ReviewItem) -> dict[str, Any]:
        chosen = request.GET.get("choice", "")
        if not chosen or item.state != "open" or not may_decide(request):
            return {"chosen": ""}
        try:
            effect = review.preview(item=item, choice=chosen, now=timezone.now())
        except ReviewError as error:
            return {"chosen": "", "refused": str(error)}
        words = review.words_of(item, chosen)
        return {
            "chosen": chosen, "chosen_words": words, "effect": effects(effect),
            "goes_on": _goes_on(item, effect),
        }  # fmt: skip

    def _done(self, request: HttpRequest) -> ReviewItem | None:
        """What was decided just before, to be undone with one key."""
        key = request.GET.get("done", "")
        rows = ReviewItem.objects.filter(
            pk=int(key) if key.isdecimal() else 0, decided_by=request.user.get_username()
        )
        done = rows.select_related("learner", "session", "endpoint").first()
        if done is not None:
            done.words = f"{question(done)} {review.words_of(done, done.decision)}."  # type: ignore[attr-defined]
        return done

    def _search(self, request: HttpRequest) -> list[Learner]:
        """Another learner, looked for by name or address."""
        text = request.GET.get("who", "").strip()
        if not text:
            return []
        by_name = Learner.objects.filter(name__words=text)
        rows = by_name | Learner.objects.filter(email__icontains=text)
        return sorted(rows.order_by("email_key")[:8], key=lambda who: who.name)

    def _decide(self, request: HttpRequest, item: ReviewItem) -> HttpResponse:
        """Take the decision and go to the next question at once; after the last, say so."""
        if not may_decide(request):
            raise PermissionDenied
        by, at = request.user.get_username(), timezone.now()
        here = reverse(PAGE, args=[item.pk])
        try:
            if "reopen" in request.POST:
                changed = review.reopen(item=item, by=by, now=at)
                messages.success(request, f"Taken back. {_outcomes_changed(changed)}")
                self.log_change(request, item, "reopened")
                return HttpResponseRedirect(here)
            choice = request.POST.get("choice", "")
            changed = review.decide(item=item, choice=choice, by=by, now=at)
        except ReviewError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(here)
        self.log_change(request, item, f"decided: {choice}")
        messages.success(request, f"Decided. {_outcomes_changed(changed)}")
        following = next_open(after=item)
        if following is None:
            return HttpResponseRedirect(here)
        return HttpResponseRedirect(f"{reverse(PAGE, args=[following.pk])}?done={item.pk}")

    # --- many at once ---------------------------------------------------------------------------

    @admin.action(description="Say that these are visitors", permissions=["decide"])
    def as_visitors(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> HttpResponse | None:
        """No learners."""
        return self._together(request, rows, "visitor")

    @admin.action(description="Say that these are our staff", permissions=["decide"])
    def as_staff(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> HttpResponse | None:
        """Colleagues."""
        return self._together(request, rows, "staff")

    @admin.action(description="Say that these are bots", permissions=["decide"])
    def as_bots(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> HttpResponse | None:
        """Note-takers."""
        return self._together(request, rows, "bot")

    @admin.action(description="Leave these as they are", permissions=["decide"])
    def as_left(self, request: HttpRequest, rows: QuerySet[ReviewItem]) -> HttpResponse | None:
        """Nobody can tell."""
        return self._together(request, rows, LEAVE)

    def has_decide_permission(self, request: HttpRequest) -> bool:
        """For the actions."""
        return may_decide(request)

    def _together(
        self, request: HttpRequest, rows: QuerySet[ReviewItem], choice: str
    ) -> HttpResponse | None:
        """Show how many and what it would do, then do it, each by itself."""
        open_rows = rows.filter(state="open").select_related("learner", "session", "endpoint")
        if choice != LEAVE:
            open_rows = open_rows.filter(kind="guest")
        if not open_rows.exists():
            messages.warning(request, "None of these is an open question with that answer.")
            return None
        open_rows = open_rows[:MOST_TOGETHER]
        title = "Leave {count} questions as they are?"
        ask = Question(
            title=title if choice == LEAVE else f"{{count}} guests are {TOGETHER[choice]}?",
            effect="" if "confirmed" in request.POST else self._effect_of_all(open_rows, choice),
            button="Confirm",
            heads=("Question", "Class"),
            row=lambda item: (question(item), class_of(item)),
            act=lambda chosen: self._answer_all(request, list(chosen), choice),
        )
        return self.confirm(request, open_rows, ask)

    def _effect_of_all(self, rows: QuerySet[ReviewItem], choice: str) -> str:
        at = timezone.now()
        seen = [(item, review.preview(item=item, choice=choice, now=at)) for item in rows]
        effects = [effect for _, found in seen for effect in found]
        held = sum(_goes_on(item, found) for item, found in seen)
        facts = sum(len(effect.facts) for effect in effects) + held
        changed = len(effects)
        goes_on = f"For {held} learner{pluralize(held)} what was held goes on. " if held else ""
        return (
            f"This changes {changed} outcome{pluralize(changed)} and sends out {facts} "
            f"fact{pluralize(facts)}. {goes_on}It is remembered: nobody is asked about them again. "
            f"At most {MOST_TOGETHER} are answered at once."
        )

    def _answer_all(self, request: HttpRequest, items: list[ReviewItem], choice: str) -> str:
        """One by one; what somebody else has answered meanwhile is left and said."""
        by, at, answered = request.user.get_username(), timezone.now(), 0
        changed: list[review.Changed] = []
        for item in items:
            try:
                changed += review.decide(item=item, choice=choice, by=by, now=at)
            except ReviewError as error:
                messages.warning(request, f"{question(item)} {error}")
                continue
            answered += 1
        return f"{answered} answered. {_outcomes_changed(changed)}"


def _goes_on(item: ReviewItem, effect: Sequence[review.Changed]) -> bool:
    """Whether the answer is that what stands is right, so that what waited for it goes on."""
    return item.kind == ReviewKind.DISPUTE and not effect


def _outcomes_changed(changed: Sequence[review.Changed]) -> str:
    """How many, and the first of them by name."""
    words = {0: "No outcome changed.", 1: "One outcome changed."}.get(
        len(changed), f"{len(changed)} outcomes changed."
    )
    named = [
        f"{person(one.learner)}: {spaced(one.before) or 'nothing'} → {spaced(one.after)}."
        for one in changed[:MOST_NAMED]
    ]
    return " ".join([words, *named])


def _today() -> datetime:
    """When the day began for whoever looks."""
    return timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
