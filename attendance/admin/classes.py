"""Classes: what was concluded about them, how sure it is, and the page of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateFilter

from attendance import models
from attendance.admin.base import class_of, class_words, learner_of, person, spaced
from attendance.admin.class_rows import people_of, rows_of
from attendance.admin.phrases import outcome_pill, state_pill
from attendance.admin.readings import run_words
from attendance.selectors import ClassPage, Figures, class_figures, class_page
from config.console.pages import PERSONAL, Console
from config.console.words import moment, pill

LIST = "admin:attendance_classsession_changelist"
SURE_ENOUGH = 0.9  # below this share of devices with a sure identity, a class is worth a look
#: What somebody's class led to: words for each learner, given by whoever acts on facts.
Consequences = Mapping[int, Sequence[SafeString]]


@admin.register(models.ClassSession)
class ClassSessionAdmin(Console):
    """A class: who was there, how we know, and what followed."""

    list_display = ("what", "when", "state", "match", "outcomes", "pledged")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("starts_at", RangeDateFilter),
        "course",
    )
    list_before_template = "admin/attendance/classsession/weeks.html"
    search_fields = ("title", "event_id", "meeting_code", "course__title")
    search_help_text = "A title, a course, a Calendar event id, or a Meet code"
    ordering = ("-starts_at", "-pk")
    empty_words = (
        "Classes come from the calendars of the courses, with the next reading of Google. "
        "A course is a calendar; learners are imported with the calendars they belong to."
    )

    class Media:
        css = {"all": ("attendance/attendance.css",)}

    def heading(self, row: models.ClassSession) -> str:
        """By title and time."""
        return class_words(row)

    def get_queryset(self, request: HttpRequest) -> QuerySet[models.ClassSession]:
        """With the course, whose zone and name every row shows."""
        return super().get_queryset(request).select_related("course")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """The rows of the page, with their figures counted at once."""
        found = super().get_changelist_instance(request)
        rows = list(found.result_list)
        figures = class_figures(session_ids=[row.pk for row in rows])
        for row in rows:
            row.figures = figures.get(row.pk, Figures())
        found.result_list = rows
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Above the list: the days staff ask about, without a query."""
        weeks = _weeks(timezone.localtime(), request.GET.get("starts_at__gte", ""))
        context = {"weeks": weeks, **(extra_context or {})}
        found: TemplateResponse = super().changelist_view(request, context)
        return found

    @admin.display(description="class", ordering="title")
    def what(self, row: models.ClassSession) -> SafeString:
        """Its title and its course."""
        title, course = row.title or "Class", str(row.course)
        return (
            format_html("<span>{}<br>{}</span>", title, course)
            if course != title
            else SafeString(title)
        )

    @admin.display(description="when", ordering="starts_at")
    def when(self, row: models.ClassSession) -> SafeString:
        """On the clock of whoever looks, and on the course's."""
        return moment(row.starts_at, row.course.time_zone)

    @admin.display(description="state", ordering="status")
    def state(self, row: models.ClassSession) -> SafeString:
        """In words."""
        return format_html("<span>{}</span>", state_pill(row))

    @admin.display(description="match quality")
    def match(self, row: Any) -> SafeString | str:
        """The share of devices with a sure identity, and what is open."""
        return match_words(row.figures, row.pk)

    @admin.display(description="outcomes")
    def outcomes(self, row: Any) -> SafeString | str:
        """How many of each."""
        found = [(outcome_pill(kind, n),) for kind, n in row.figures.outcomes.items()]
        return (
            format_html('<span class="at-pills">{}</span>', format_html_join(" ", "{}", found))
            if found
            else "–"
        )

    @admin.display(description="said yes, came")
    def pledged(self, row: Any) -> str:
        """Who pledged, and how many of them were there."""
        figures: Figures = row.figures
        return f"{figures.came} of {figures.pledged} came" if figures.pledged else "–"

    # --- one class ------------------------------------------------------------------------------

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Who was there, how we know, what is still awaited, and what went out because of it."""
        session = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, session):
            raise PermissionDenied
        if session is None:
            return HttpResponseRedirect(reverse(LIST))
        page = class_page(session=session, now=timezone.now())
        only, asked = request.GET.get("outcome", ""), request.GET.dict()
        people = people_of(page, asked)
        followed = self.consequences(page, [who.learner.pk for who in people])
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "original": session, "title": class_words(session),
            "session": session, "page": page, "state": state_pill(session), "only": only,
            "counts": [(kind, outcome_pill(kind, n)) for kind, n in page.counts.items()],
            "match": match_words(_figures(page), session.pk),
            "may_decide": request.user.has_perm("attendance.decide_review"),
            "may_see": request.user.has_perm(PERSONAL),
            "runs": [(run, *run_words(run)) for run in reversed(page.known.runs)],
            **rows_of(
                page, people, asked=asked, followed=followed,
                may_see=request.user.has_perm(PERSONAL),
            ),
            **(extra_context or {}),
        }  # fmt: skip
        return TemplateResponse(request, "admin/attendance/classsession/page.html", context)

    def consequences(self, page: ClassPage, learner_ids: Sequence[int]) -> Consequences:
        """What was done for these because of the facts of a class; attendance does nothing."""
        return {}


def match_words(figures: Figures, session_pk: int) -> SafeString | str:
    """How sure it is whose devices these were, and what is left to ask."""
    share = figures.share
    if share is None:
        return "nobody seen" if figures.outcomes else "–"
    tone = "good" if share >= SURE_ENOUGH else "warn"
    said = [pill(tone, f"{share:.0%} sure")]
    if figures.unmatched:
        said.append(format_html("{} unmatched", figures.unmatched))
    if figures.open_questions:
        count = figures.open_questions
        words = "one question" if count == 1 else f"{count} questions"
        asked = {"state__exact": "open", "session__id__exact": session_pk}
        to = f"{reverse('admin:attendance_reviewitem_changelist')}?{urlencode(asked)}"
        said.append(format_html('<a class="tb-link" href="{}">{} open</a>', to, words))
    joined = format_html_join(", ", "{}", ((words,) for words in said))
    return format_html("<span>{}</span>", joined)


def _figures(page: ClassPage) -> Figures:
    """The same figures as in the list, of one class that is read already."""
    people = [seen for seen in page.known.devices if seen.kind in {"human", "phone"}]
    asked = [
        *(who.question for who in page.people),
        *(who.question for who in page.strangers),
    ]
    waiting = {item.pk for item in asked if item and item.state == "open"}
    return Figures(
        outcomes=page.counts,
        devices=len(people),
        sure=sum(seen.learner_id is not None for seen in people),
        open_questions=len(waiting),
    )


def _weeks(now: datetime, chosen: str) -> list[tuple[str, str, bool]]:
    """Links to days and weeks on the clock of whoever looks: (words, address, chosen)."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    monday = today - timedelta(days=today.weekday())
    spans = (
        ("Yesterday", today - timedelta(days=1), 1), ("Today", today, 1),
        ("Last week", monday - timedelta(weeks=1), 7), ("This week", monday, 7),
        ("Next week", monday + timedelta(weeks=1), 7),
    )  # fmt: skip
    found = [("All", "?", not chosen)]
    for words, start, days in spans:
        until = start + timedelta(days=days)
        asked = {"starts_at__gte": start.isoformat(), "starts_at__lt": until.isoformat()}
        found.append((words, f"?{urlencode(asked)}", chosen == asked["starts_at__gte"]))
    return found


@admin.register(models.AttendanceEvent)
class AttendanceEventAdmin(Console):
    """Facts that went out to nurture."""

    list_display = ("words", learner_of, class_of, "streak", "recorded", "processed")
    list_select_related = ("learner", "session")
    empty_words = (
        "A fact goes out once an outcome has effect: attended, missed, kept a promise. "
        "Sequences start from facts."
    )
    list_filter = (("kind", ChoicesDropdownFilter), ("recorded_at", RangeDateFilter))
    search_fields = ("learner__email", "learner__name__words")
    search_help_text = "A learner's name or address"
    ordering = ("-pk",)

    @admin.display(description="fact", ordering="kind")
    def words(self, row: models.AttendanceEvent) -> str:
        """Its kind as words."""
        return spaced(row.kind)

    @admin.display(description="recorded", ordering="recorded_at")
    def recorded(self, row: models.AttendanceEvent) -> SafeString:
        """When it was written."""
        return moment(row.recorded_at)

    @admin.display(description="taken note of", ordering="processed_at")
    def processed(self, row: models.AttendanceEvent) -> SafeString:
        """When nurture acted on it."""
        return moment(row.processed_at)

    def heading(self, row: models.AttendanceEvent) -> str:
        """By learner and kind."""
        return f"{person(row.learner)}: {spaced(row.kind)}"
