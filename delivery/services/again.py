"""What staff decide: about what cannot be known, was given up, or was withdrawn by them.

Nothing of it happens by itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from delivery.domain.again import AGAIN, why_not_again, why_not_back
from delivery.domain.reasons import Reason
from delivery.domain.states import Status
from delivery.models import BusinessNow, Delivery
from delivery.services.deliveries import cancel_all


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
        observed_at=None,  # a correction wants to know how this ends
    )
    return going


def withhold(*, delivery_ids: Iterable[int], reason: str) -> int:
    """See to it that staff cannot send these again, since what they say is not true any more.

    Returns how many were in doubt or given up. Safe to run twice.
    """
    by_staff = Q(status=Status.CANCELLED, reason=Reason.WITHDRAWN_BY_STAFF)
    rows = Delivery.objects.filter(Q(status__in=AGAIN) | by_staff, pk__in=set(delivery_ids))
    return rows.filter(withdrawal="").update(withdrawal=str(reason))


def drop(*, delivery_ids: Iterable[int]) -> int:
    """Settle that these were not sent and never go again; return how many were open.

    Of what cannot be known and what was given up. Their journeys went on long ago, or go on now.
    Safe to run twice.
    """
    rows = Delivery.objects.filter(pk__in=set(delivery_ids), status__in=AGAIN)
    return rows.update(
        status=Status.CANCELLED,
        reason=Reason.DROPPED,
        fence=F("fence") + 1,  # a late answer changes nothing any more
        settled_at=Coalesce("settled_at", BusinessNow()),
    )


def withdraw(*, delivery_ids: Iterable[int]) -> int:
    """Withdraw, on behalf of staff, what is not on the wire yet; return how many were.

    Until they are due, `take_back` owes them once more. Safe to run twice.
    """
    rows = Delivery.objects.filter(pk__in=set(delivery_ids))
    return cancel_all(rows, reason=Reason.WITHDRAWN_BY_STAFF)


def preview_back(*, delivery_ids: Iterable[int], now: datetime) -> list[tuple[Delivery, str]]:
    """These deliveries, each with why it stays withdrawn, "" where it may go after all."""
    rows = Delivery.objects.filter(pk__in=set(delivery_ids)).select_related("chat")
    return [(row, _why_not_back(row, now)) for row in rows.order_by("id")]


@transaction.atomic
def take_back(*, delivery_ids: Iterable[int], now: datetime) -> int:
    """Owe once more, at their own times, what staff withdrew; return how many.

    A journey that has gone on meanwhile is not told a second time. Safe to run twice: what is
    owed is not withdrawn.
    """
    rows = Delivery.objects.filter(pk__in=set(delivery_ids), status=Status.CANCELLED)
    held = list(rows.order_by("id").select_for_update(no_key=True, of=("self",)))
    going = [row.pk for row in held if not _why_not_back(row, now)]
    return Delivery.objects.filter(pk__in=going).update(
        status=Status.PENDING,
        reason="",
        fence=F("fence") + 1,
        run_at=F("due_at"),
        settled_at=None,
        observed_at=None,
    )


def _why_not_back(row: Delivery, now: datetime) -> Reason | str:
    return (
        why_not_back(
            status=row.status,
            reason=row.reason,
            withdrawal=row.withdrawal,
            due_at=row.due_at,
            now=now,
        )
        or ""
    )


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
