"""The first page: how everything stands, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from config.admin.checklist import checklist
from config.console.charts import Chart, Series
from delivery.clock import now
from delivery.models import Process
from nurture.domain import figures
from nurture.domain.figures import Day, Measure, Share
from nurture.domain.scorecard import percent
from nurture.services.alerts import LATE_SECONDS, alerts, counted
from nurture.services.figures import WEEK, Standing, days, standing
from nurture.services.scorecard import uptime

MAY_SEE = "delivery.view_delivery"
REFRESH_SECONDS = 15
admin.site.index_title = "Overview"

# What an alert is about, as a list: (app.model, filter).
LISTS = {
    "gate": ("delivery.gate", {}),
    "late": ("delivery.delivery", {"status__exact": "pending"}),
    "unknown": ("delivery.delivery", {"status__exact": "unknown"}),
    "dead": ("delivery.delivery", {"status__exact": "dead"}),
    "failed": ("delivery.delivery", {"status__exact": "failed"}),
    "poison": ("delivery.deaddelivery", {}),
    "update": ("delivery.inboundupdate", {}),
    "google": ("attendance.syncrun", {}),
    "task": ("nurture.stafftask", {}),
    "job": ("nurture.job", {}),
    "finding": ("nurture.auditfinding", {}),
    "review": ("attendance.reviewitem", {"state__exact": "open"}),
    "clock": ("delivery.heartbeat", {"name": "clock"}),
    "worker": ("delivery.heartbeat", {"name": "worker"}),
    "web": ("delivery.heartbeat", {"name": "web"}),
    "poller": ("delivery.heartbeat", {"name": "poller"}),
    "fact": ("attendance.attendanceevent", {}),
    "journey": ("nurture.journey", {"status__exact": "active"}),
}
# In the chart: (name, counts, tone), from the bottom up.
ENDS = (
    ("sent", ("sent",), "good"),
    ("not needed any more", ("cancelled", "skipped"), "calm"),
    ("expired", ("expired",), "warn"),
    ("cannot be known", ("unknown",), "info"),
    ("failed or given up", ("failed", "refused", "dead"), "bad"),
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One figure, as `{% stat %}` takes it."""

    label: str
    value: str
    url: str
    target: str = ""
    verdict: str = ""
    trend: Sequence[float] = ()
    note: str = ""


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Everything of the first page, for who may see it; unfold calls it."""
    context["may_see"] = request.user.has_perm(MAY_SEE)
    return context | overview(request) if context["may_see"] else context


@require_GET
@never_cache
def fragment(request: HttpRequest) -> HttpResponse:
    """The part of the first page that refreshes itself."""
    if not request.user.has_perm(MAY_SEE):
        raise PermissionDenied
    return TemplateResponse(request, "admin/overview.html", overview(request))


def overview(request: HttpRequest) -> dict[str, Any]:
    """What the template shows. A dozen statements, however many rows there are."""
    present, zone = now(), timezone.get_current_timezone_name()
    stands, past = standing(now=present), days(now=present, zone=zone)
    page = Page(request)
    steps = checklist(stands)
    return {
        "refresh_seconds": REFRESH_SECONDS,
        "zone": zone,
        "as_of": present,
        "alerts": [(alert, page.list(*LISTS[alert.about])) for alert in alerts(stands)],
        "cards": [*page.of_week(past), *page.of_now(stands)],
        "chart": chart(past),
        "standing": stands,
        "steps": [] if all(step.done for step in steps) else steps,
        "steps_done": sum(step.done for step in steps),
        "may_roll_out": request.user.has_perm("waffle.view_flag"),
        "gates_url": page.list("delivery.gate"),
        "readings_url": page.list("attendance.syncrun"),
        "alerts_url": page.list("nurture.alertepisode"),
    }


class Page:
    """The figures as cards, each with the list that it counts, where whoever looks may open it."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request

    def list(self, model: str, query: dict[str, str] | None = None) -> str:
        """The address of a list; empty for who may not open it."""
        found = apps.get_model(model)
        if not admin.site.get_model_admin(found).has_view_permission(self.request):
            return ""
        url = reverse(f"admin:{model.replace('.', '_')}_changelist")
        return f"{url}?{urlencode(query)}" if query else url

    def of_week(self, past: Sequence[Day]) -> Iterator[Card]:
        """What the last seven days came to, with a trend of fourteen."""
        week = figures.total(past[-WEEK:])
        started = week.get("started", 0)
        first = timezone.make_aware(datetime.combine(past[-WEEK].day, time()))
        since = {"started_at__gte": first.isoformat()}
        lists = {
            "success": ("delivery.delivery", {"status__exact": "sent"}),
            "accuracy": ("nurture.journey", {"status__exact": "exited"}),
            "completion": ("nurture.journey", {"status__exact": "completed"}),
            "engagement": ("delivery.inboundupdate", None),
            "errors": ("delivery.delivery", {"status__exact": "failed"}),
        }
        yield _card(figures.SUCCESS, week, past, self.list(*lists["success"]))
        yield Card(
            label="Activations a day",
            value=f"{started / WEEK:.1f}",
            trend=[day.counts.get("started", 0) for day in past],
            note=f"{started} journeys began in seven days.",
            url=self.list("nurture.journey", since),
        )
        for measure in figures.MEASURES[1:]:
            yield _card(measure, week, past, self.list(*lists[measure.key]))

    def of_now(self, stands: Standing) -> Iterator[Card]:
        """How things stand at this moment."""
        known = Share(stands.attendance.known, stands.attendance.everybody)
        yield Card(
            label="Correlation: devices known",
            value=percent(known),
            note=f"{known.hits} of {known.of} people's devices in the classes of seven days.",
            url=self.list("attendance.endpoint", {"kind__exact": "human"}),
        )
        audit = Share(stands.audit.hits, stands.audit.of)
        yield Card(
            label="Correlation: audit right",
            value=percent(audit),
            target="> 90 %",
            verdict=_spoken(stands.audit.verdict),
            note=f"{audit.hits} of {audit.of} outcomes that staff looked at in eight weeks.",
            url=self.list("attendance.auditpair"),
        )
        pending = self.list("delivery.delivery", {"status__exact": "pending"})
        late = stands.late_seconds
        yield Card(
            label="Oldest due", value=lasting(late), target="< 90 s", url=pending,
            verdict="pass" if late <= LATE_SECONDS else "fail",
            note="How late the oldest delivery is that no closed gate holds back.",
        )  # fmt: skip
        yield Card(
            label="Due and waiting", value=counted(stands.due), url=pending,
            note="Deliveries whose time has come, those behind closed gates among them.",
        )  # fmt: skip
        yield self._uptime(stands)

    def _uptime(self, stands: Standing) -> Card:
        alive = stands.delivery.processes.get(Process.CLOCK.value)
        share = Share(alive.minutes, alive.of) if alive else Share(0, 0)
        judged = {item.name: item for item in uptime(stands.delivery.processes)}
        return Card(
            label="Uptime",
            value=percent(share, digits=2),
            target=str(figures.UPTIME),
            verdict=judged["uptime_clock"].verdict,  # nothing before a week is measured
            note="Minutes of seven days in which the clock was seen.",
            url=self.list("delivery.heartbeat", {"name": "clock"}),
        )


def _card(measure: Measure, week: figures.Counts, past: Sequence[Day], url: str) -> Card:
    share = measure.share(week)
    return Card(
        label=measure.label,
        value=percent(share),
        target=str(measure.target or ""),
        verdict=measure.target.verdict(share) if measure.target else "",
        trend=figures.trend(measure, past),
        note=f"{share.hits:,} of {share.of:,} in seven days.",
        url=url,
    )


def chart(past: Sequence[Day]) -> Chart:
    """What came to its end on each day, and how."""
    return Chart(
        title="Deliveries by the day they came to their end",
        labels=[_label(day.day) for day in past],
        series=[
            Series(name, [sum(day.counts.get(part, 0) for part in parts) for day in past], tone)
            for name, parts, tone in ENDS
        ],
    )


def lasting(seconds: float) -> str:
    """A span in the unit that fits: `12 s`, `5 min`, `3 h`."""
    span = timedelta(seconds=int(seconds))
    if span < timedelta(minutes=2):
        return f"{span.seconds} s"
    if span < timedelta(hours=2):
        return f"{span.seconds // 60} min"
    return f"{span // timedelta(hours=1)} h"


def _label(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def _spoken(verdict: Any) -> str:
    return {"pass": "pass", "fail": "fail"}.get(str(verdict), "not_yet")
