"""Which deliveries nobody needs where they are: what is old goes to the archive."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet

from delivery import services as delivery
from delivery.models import Delivery
from nurture.models import OPEN, Decision, DryRunVerdict, Journey

AT_ONCE = 1_000


def archivable(*, before: datetime) -> QuerySet[Delivery]:
    """Deliveries that ended before a moment and that nothing under way looks at.

    What stays: what was not taken note of; all of a journey that is open; a dry run's message of
    which staff have said what is to become.
    """
    waits = Journey.objects.filter(waiting_on=OuterRef("pk"))
    under_way = Decision.objects.filter(delivery=OuterRef("pk"), journey__status__in=OPEN)
    judged = DryRunVerdict.objects.filter(
        Q(delivery=OuterRef("pk")) | Q(released_as=OuterRef("pk"))
    )
    return Delivery.objects.filter(
        ~Exists(waits), ~Exists(under_way), ~Exists(judged),
        settled_at__lt=before, observed_at__isnull=False,
    )  # fmt: skip


def archive_some(*, before: datetime, limit: int = AT_ONCE) -> int:
    """Move up to `limit` of them, in one transaction; return how many. Safe to run twice.

    Real ones first: they have an index by their end, and tests are few.
    """
    rows = archivable(before=before).order_by("settled_at")
    ids = list(rows.filter(is_test=False).values_list("pk", flat=True)[:limit])
    ids = ids or list(rows.filter(is_test=True).values_list("pk", flat=True)[:limit])
    return delivery.archive(delivery_ids=ids, before=before) if ids else 0
