"""What staff send again: what cannot be known, and what was given up. Nothing does so by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import F

from delivery.domain.again import AGAIN, why_not_again
from delivery.domain.reasons import Reason
from delivery.domain.states import Status
from delivery.models import BusinessNow, Delivery


def preview_again(*, delivery_ids: Iterable[int], now: datetime) -> list[tuple[Delivery, str]]:
    """These deliveries, each with why it may not go again, "" where it may. Writes nothing."""
    rows = Delivery.objects.filter(pk__in=set(delivery_ids)).select_related("chat")
    return [(row, _refusal(row, now)) for row in rows.order_by("id")]


@transaction.atomic
def send_again(*, delivery_ids: Iterable[int], now: datetime) -> list[Delivery]:
    """Owe those of these deliveries anew that may go again; return which they are.

    All that is asked before a first message is asked again: consent, hours, caps, gates. The tries
    so far stay on record. The journey went on when this one settled, and is not told a second
    time. Safe to run twice: what is owed is not in doubt.
    """
    rows = Delivery.objects.filter(pk__in=set(delivery_ids), status__in=AGAIN)
    held = list(rows.order_by("id").select_for_update(no_key=True, of=("self",)))
    going = [row for row in held if not _refusal(row, now)]
    Delivery.objects.filter(pk__in=[row.pk for row in going]).update(
        status=Status.PENDING,
        reason="",
        fence=F("fence") + 1,  # a late answer to the old try says nothing of the new one
        attempts=0,
        deaths=0,
        run_at=BusinessNow(),
        settled_at=None,
    )
    return going


def withhold(*, delivery_ids: Iterable[int], reason: str) -> int:
    """See to it that staff cannot send these again, since what they say is not true any more.

    Returns how many were in doubt or given up. Safe to run twice.
    """
    rows = Delivery.objects.filter(pk__in=set(delivery_ids), status__in=AGAIN, withdrawal="")
    return rows.update(withdrawal=str(reason))


def _refusal(row: Delivery, now: datetime) -> Reason | str:
    return (
        why_not_again(
            status=row.status,
            is_settled=row.settled_at is not None,
            withdrawal=row.withdrawal,
            expires_at=row.expires_at,
            now=now,
        )
        or ""
    )
