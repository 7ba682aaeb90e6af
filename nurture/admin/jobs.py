"""What the clock does: each line of the timetable, its runs, and what the nightly audit found."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from config.console.choices import WithChoices
from config.console.confirmation import Question
from config.console.pages import Console, ReadOnlyInline, may
from config.console.words import moment, pill
from delivery.clock import now
from delivery.models import BusinessNow
from nurture import models
from nurture.domain.jobs import OVERDUE
from nurture.domain.scorecard import AUDIT_AGE
from nurture.services import findings, jobs

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OUTCOMES = {
    "": ("info", "running"), "done": ("good", "done"), "failed": ("bad", "failed"),
    "died": ("bad", "broken off"),
}  # fmt: skip
HEADS = ("Job", "What it does")
#: The clock notes every quarter of a minute that it looks.
SILENT = timedelta(minutes=1)

Jobs = QuerySet[models.Job]


class RunInline(ReadOnlyInline):
    """Its runs, newest first."""

    model = models.JobRun
    ordering = ("-started_at",)
    verbose_name_plural = "runs"
    fields = readonly_fields = ("began", "ended", "came_of_it", "counted", "asked_by")

    @admin.display(description="began")
    def began(self, row: models.JobRun) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.started_at)

    @admin.display(description="ended")
    def ended(self, row: models.JobRun) -> SafeString:
        """On the clock of whoever looks."""
        return moment(row.finished_at)

    @admin.display(description="what came of it")
    def came_of_it(self, row: models.JobRun) -> SafeString:
        """How it ended; the log has the rest of an error."""
        return pill(*OUTCOMES[row.outcome], row.error)

    @admin.display(description="counted")
    def counted(self, row: models.JobRun) -> str:
        """What it did, in numbers."""
        return ", ".join(f"{number:,} {what}" for what, number in row.counts.items()) or "–"

    @admin.display(description="asked for by")
    def asked_by(self, row: models.JobRun) -> str:
        """Who had it run; else the clock did."""
        return row.by or "the clock"


class Held(Console):
    """What staff may do to jobs."""

    actions = ("pause", "resume", "run_now")
    has_run_permission = may("nurture.run_job")

    @admin.action(description="Pause", permissions=["run"])
    def pause(self, request: HttpRequest, queryset: Jobs) -> HttpResponse | None:
        """Until somebody lets it go on."""
        by, why = request.user.get_username(), request.POST.get("why", "").strip()[:200]
        return self._ask(
            request,
            queryset.filter(hour__isnull=False, paused_at__isnull=True),
            Question(
                title="Pause {count} of the jobs?",
                effect="They do not run until somebody lets them go on. A run under way comes to"
                " its end.",
                button="Pause {count}",
                heads=HEADS,
                row=_cells,
                act=lambda rows: (
                    f"{jobs.pause(names=_names(rows), by=by, why=why, now=now())} paused."
                ),
                left=_left(queryset),
                undo="resume",
                why="Why? Others will read it.",
                danger=True,
            ),
        )

    @admin.action(description="Let it run again", permissions=["run"])
    def resume(self, request: HttpRequest, queryset: Jobs) -> HttpResponse | None:
        """What it missed is made up for by one run."""
        return self._ask(
            request,
            queryset.filter(paused_at__isnull=False),
            Question(
                title="Let {count} of the jobs run again?",
                effect="Where their hour came meanwhile they run at once, once.",
                button="Let {count} run",
                heads=HEADS,
                row=_cells,
                act=lambda rows: f"{jobs.resume(names=_names(rows))} run again.",
            ),
        )

    @admin.action(description="Run now", permissions=["run"])
    def run_now(self, request: HttpRequest, queryset: Jobs) -> HttpResponse | None:
        """Within seconds, also while it is paused."""
        by = request.user.get_username()
        return self._ask(
            request,
            queryset.filter(hour__isnull=False, lease_until__isnull=True),
            Question(
                title="Run {count} of the jobs now?",
                effect="They begin within seconds, paused or not, and run at their hour as well.",
                button="Run {count}",
                heads=HEADS,
                row=_cells,
                act=lambda rows: (
                    f"{jobs.run_now(names=_names(rows), by=by, now=now())} will run within seconds."
                ),
                left=[
                    *_left(queryset),
                    *((row.name, "It runs just now.") for row in queryset if row.lease_until),
                ],
            ),
        )

    def _ask(self, request: HttpRequest, rows: Jobs, ask: Question) -> HttpResponse | None:
        return self.confirm(request, rows.order_by("name"), ask)


def _names(rows: Jobs) -> list[str]:
    return list(rows.values_list("name", flat=True))


def _cells(row: models.Job) -> tuple[str, str]:
    return row.name, row.does


def _left(rows: Jobs) -> list[tuple[object, str]]:
    bells = rows.filter(hour__isnull=True).order_by("name")
    why = "It is always on; the switches on the rollout page and the gates hold what it does."
    return [(row.name, why) for row in bells]


@admin.register(models.Job)
class JobAdmin(WithChoices, Held):
    """The timetable: what runs at an hour, then what is always on."""

    list_display = ("name", "does", "when", "state", "last_run", "next_run")
    sortable_by = ()
    inlines = (RunInline,)
    told = (
        "What runs at an hour of the night, then what is always on. A job that fails is tried again"
        " after 15 and 30 minutes, then the next night: open it to see its runs. Tick jobs to pause"
        " or run them; what is always on is held by the switches on the rollout page."
    )
    empty_words = "The clock has not run yet. Start it: manage.py runclock."
    fields = readonly_fields = (
        "name", "does", "when", "state", "do", "last_run", "next_run", "paused",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> Jobs:
        """With the last run of each, and the clock that they go by."""
        rows: Jobs = super().get_queryset(request)
        return jobs.with_last_run(rows).annotate(now=BusinessNow())

    def get_ordering(self, request: HttpRequest) -> Any:
        """By when they are due; then the bells."""
        return ("hour", "weekday", "name")

    def heading(self, row: models.Job) -> str:
        """By its name."""
        return row.name

    def choices(self, request: HttpRequest, row: models.Job) -> list[tuple[str, str, str]]:
        """What may be done to it as it stands."""
        if row.is_bell:
            return []
        run = ("run_now", "Run now…", "It begins within seconds.")
        if row.paused_at:
            return [run, ("resume", "Let it run again…", "At its hour; at once if that has come.")]
        return [run, ("pause", "Pause…", "It does not run until somebody lets it go on.")]

    @admin.display(description="when")
    def when(self, row: models.Job) -> str:
        """How often, or at which hour."""
        if row.hour is None:
            return f"always on, looks every {row.every_seconds:g} s"
        day = "each night" if row.weekday is None else f"on {DAYS[row.weekday]}s"
        return f"{day} at {row.hour:02}:00 {settings.TIME_ZONE}"

    @admin.display(description="state")
    def state(self, row: Any) -> SafeString:
        """Whether all is well with it."""
        if row.is_bell:
            return _state_of_bell(row)
        if row.runs_now:
            return pill("info", "running")
        if row.wanted_at:
            return pill("info", "begins in a moment", f"asked for by {row.wanted_by}")
        if row.paused_at:
            return pill("warn", "paused", self.paused(row))
        if row.tries:
            often = f", {row.tries} times in a row" if row.tries > 1 else ""
            return pill("bad", "failed", f"{row.last_error}{often}")
        if row.next_at < row.now - OVERDUE:
            return pill("bad", "overdue", "Nobody ran it: is the clock up?")
        return pill("good", "waits for its hour")

    @admin.display(description="what to do")
    def do(self, row: models.Job) -> str:
        """Where something is wrong."""
        if not row.tries:
            return "–"
        return (
            "The runs below name the kind of error; the log has the rest, under job.failed. Mend it"
            " and run the job now. It is also tried again by itself at its next run."
        )

    @admin.display(description="last run")
    def last_run(self, row: Any) -> SafeString | str:
        """When it began, and what came of it; of a bell, when it rang."""
        if row.is_bell:
            return moment(row.rang_at, now=row.now)
        if row.last_started is None:
            return "never yet"
        took = _lasting(row.last_finished, row.last_started)
        words = pill(*OUTCOMES[row.last_outcome], took)
        return format_html("<span>{} {}</span>", moment(row.last_started, now=row.now), words)

    @admin.display(description="next run")
    def next_run(self, row: Any) -> SafeString | str:
        """When it is due."""
        if row.is_bell or row.paused_at:
            return "–"
        return moment(row.next_at, now=row.now)

    @admin.display(description="paused")
    def paused(self, row: models.Job) -> str:
        """By whom, and why."""
        if row.paused_at is None:
            return "–"
        return f"by {row.paused_by}" + (f": {row.paused_why}" if row.paused_why else "")


def _state_of_bell(row: Any) -> SafeString:
    if row.looked_at is None or row.looked_at < row.now - SILENT:
        return pill("bad", "silent", "The clock does not look: is it up?")
    return pill("good", "always on")


def _lasting(end: datetime, start: datetime) -> str:
    seconds = (end - start).total_seconds()
    return f"in {seconds:.1f} s" if seconds < 60 else f"in {seconds / 60:.0f} min"


class GoneFilter(admin.SimpleListFilter):
    """What is wrong now, unless somebody asks for the past."""

    title = "state"
    parameter_name = "gone"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The past is a click away."""
        return [("yes", "gone")]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[models.AuditFinding]
    ) -> QuerySet[models.AuditFinding]:
        """Open ones where nothing is asked for."""
        return queryset.filter(gone_at__isnull=self.value() != "yes")


@admin.register(models.AuditFinding)
class AuditFindingAdmin(Console):
    """What breaks an invariant: each leads to its row."""

    list_display: tuple[str, ...] = ("wrong", "where", "since", "rule")
    list_filter = (GoneFilter, ("rule", ChoicesDropdownFilter))
    list_per_page = 100
    sortable_by = ()
    ordering = ("-pk",)
    change_list_template = "admin/nurture/auditfinding/change_list.html"
    empty_words = "No finding is open. When it was looked at last stands above."
    fields = readonly_fields = ("wrong", "where", "since", "seen", "gone", "rule")

    def heading(self, row: models.AuditFinding) -> str:
        """By what is wrong."""
        return row.says

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Since when it is gone, where one looks at the past."""
        return (*self.list_display, "gone") if "gone" in request.GET else self.list_display

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """With the last audit."""
        runs = models.JobRun.objects.filter(job=findings.JOB).exclude(outcome="")
        last = runs.order_by("-started_at").first()
        stale = bool(last and last.finished_at and last.finished_at < now() - AUDIT_AGE)
        context = {"last": last, "stale": stale, **(extra_context or {})}
        found: TemplateResponse = super().changelist_view(request, context)
        return found

    @admin.display(description="what is wrong")
    def wrong(self, row: models.AuditFinding) -> str:
        """In a sentence."""
        return row.says

    @admin.display(description="where")
    def where(self, row: models.AuditFinding) -> SafeString:
        """Link to what is wrong."""
        name = apps.get_model(row.about)._meta.verbose_name
        url = reverse(f"admin:{row.about.replace('.', '_')}_change", args=[row.row])
        return format_html('<a class="tb-link" href="{}">{} {}</a>', url, name, row.row)

    @admin.display(description="since")
    def since(self, row: models.AuditFinding) -> SafeString:
        """When an audit first found it."""
        return moment(row.found_at)

    @admin.display(description="seen last")
    def seen(self, row: models.AuditFinding) -> SafeString:
        """When an audit last found it."""
        return moment(row.seen_at)

    @admin.display(description="gone")
    def gone(self, row: models.AuditFinding) -> SafeString:
        """When an audit found it no more."""
        return moment(row.gone_at)
