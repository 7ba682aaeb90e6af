"""The launch plan's figures of a week, each with what it was measured from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q

from delivery.models import Process
from delivery.selectors import Alive
from nurture.domain import figures, scorecard
from nurture.domain.figures import Measure, Share
from nurture.domain.scorecard import SOME, Item
from nurture.models import StaffTask, TaskKind
from nurture.services.figures import WEEK, Standing, days

ENDS = "nurture_deliveries by their end, seven days"
JOURNEYS = "user_nurture_journeys, seven days"
#: What is judged of a week: its name, the measure, its source, and what is counted.
MEASURED: tuple[tuple[str, Measure, str, str], ...] = (
    ("delivery_success", figures.SUCCESS, ENDS, "deliveries"),
    ("activation_accuracy", figures.ACCURACY, JOURNEYS, "journeys"),
    ("error_rate", figures.ERRORS, ENDS, "tries"),
    ("engagement", figures.ENGAGEMENT, "delivery_inboundupdate for each sent", "messages"),
    ("completion", figures.COMPLETION, JOURNEYS, "ended journeys"),
)
#: Whose minutes are counted. The poller is not among them: with a webhook there is none.
RUNNING = (Process.WEB, Process.WORKER, Process.CLOCK)


def measure(*, standing: Standing, now: datetime) -> list[Item]:
    """The week up to `now` against the plan's targets. Reads some thousand rows, writes none."""
    return [*_of_week(standing, now), *uptime(standing.delivery.processes), _correlation(standing)]


def watched(standing: Standing) -> timedelta:
    """For how long it is known what runs: since the first beat, at most the week that counts."""
    known = [alive.of for alive in standing.delivery.processes.values()]
    return timedelta(minutes=max(known, default=0))


def false_activations(*, standing: Standing, now: datetime) -> Item:
    """Who was told what was not true, and whether somebody has looked."""
    counts = StaffTask.objects.filter(kind=TaskKind.FALSE_ACTIVATION).aggregate(
        open=Count("pk", filter=Q(done_at__isnull=True)),
        week=Count("pk", filter=Q(created_at__gt=now - scorecard.WEEK)),
    )
    return scorecard.of_false_activations(
        open_now=counts["open"], of_week=counts["week"], watched=watched(standing)
    )


def _of_week(standing: Standing, now: datetime) -> Iterator[Item]:
    counts = figures.total(days(now=now, zone=settings.TIME_ZONE, count=WEEK))
    for name, judged, source, unit in MEASURED:
        yield scorecard.of_week(
            name, judged.share(counts), judged.target or SOME, source=source, unit=unit,
            watched=watched(standing),
        )  # fmt: skip


def uptime(processes: Mapping[str, Alive]) -> Iterator[Item]:
    """In how many minutes of the week web, worker and clock were seen, by what is known of each."""
    for process in RUNNING:
        alive = processes.get(process.value)
        share = Share(alive.minutes, alive.of) if alive else Share(0, 0)
        yield scorecard.of_week(
            f"uptime_{process.value}", share, figures.UPTIME, unit="minutes", digits=2,
            source="delivery_heartbeat, each minute since the first beat, at most seven days",
            watched=timedelta(minutes=share.of),
        )  # fmt: skip


def _correlation(standing: Standing) -> Item:
    audit = standing.audit
    return scorecard.of_audit(Share(audit.hits, audit.of), str(audit.verdict))
