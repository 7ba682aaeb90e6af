"""After which messages learners leave, over all sequences, the worst first (N16)."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.urls import reverse

from delivery.clock import now
from nurture import selectors
from nurture.admin.insight.frame import Page, between, percent
from nurture.domain.leaving import FEWEST, MOST, SOON, rank
from nurture.models import Sequence

DAYS = 90


def leaving_page(page: Page) -> HttpResponse:
    """Every step whose messages went out of late."""
    at = now()
    sequences = {row.pk: row for row in Sequence.objects.only("name", "slug")}
    found = selectors.left_by_step(sequence_ids=sequences, since=at - timedelta(days=DAYS), now=at)
    rows = [(sequences[pk], step) for pk, steps in found.items() for step in steps]
    rows.sort(key=lambda row: (rank(row[1]), row[0].name))
    return page.show(
        "timeline_leaving",
        days=DAYS,
        hours=int(SOON.total_seconds() // 3600),
        fewest=FEWEST,
        most=percent(MOST),
        rows=[
            {
                "sequence": sequence.name,
                "url": reverse("admin:nurture_sequence_timeline", args=[sequence.pk]),
                "step": step,
                "share": percent(step.share),
                "interval": between(step.interval),
            }
            for sequence, step in rows
        ],
    )
