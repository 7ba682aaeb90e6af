"""What others do to deliveries: owe one, withdraw, move, take note of how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, time

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from config import telemetry
from config.console.zone_names import known_zones
from delivery import selectors
from delivery.domain.states import IN_FLIGHT, UNSENT, Status
from delivery.domain.windows import EVERY_DAY, Window
from delivery.models import (
    ArchivedDelivery,
    AttemptOutcome,
    BusinessNow,
    Chat,
    Delivery,
    Lane,
)
from delivery.services.gates import ensure_streams, stream_key

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WindowLike = tuple[time | str, time | str, Iterable[str] | int | None, str]


def enqueue(
    *,
    chat: Chat,
    text: str,
    dedupe_key: str,
    due_at: datetime,
    expires_at: datetime | None = None,
    stream: str = "",
    category: str = "",
    window: WindowLike | Window | None = None,
    buttons: Sequence[Sequence[Sequence[str]]] = (),
    lane: int = Lane.BULK,
    priority: int = 100,
    cap_per_day: int | None = None,
    cap_defers: bool = False,
    is_test: bool = False,
) -> Delivery:
    """Owe `text` to `chat`, once per `dedupe_key`; call it inside the transaction that causes it.

    `due_at`, `expires_at`: aware datetimes. `window`: (opens, closes, days, zone) with days as
    names, a bit mask or None for every day. `buttons`: rows of (text, action). `cap_defers`: one
    message too many waits for room instead of being dropped. A known `dedupe_key` returns its row
    unchanged, from the archive too, so it is safe to run twice. Raises ValueError for a naive
    datetime, a window that can never open or one in a zone that the database does not know, as it
    would fail there with all that goes out together; nothing is written then.
    """
    row = draft(
        chat=chat, text=text, dedupe_key=dedupe_key, due_at=due_at, expires_at=expires_at,
        stream=stream, category=category, window=window, buttons=buttons, lane=lane,
        priority=priority, cap_per_day=cap_per_day, cap_defers=cap_defers, is_test=is_test,
    )  # fmt: skip
    enqueue_many(drafts=[row])
    return selectors.delivery(row.pk)


def draft(
    *,
    chat: Chat,
    text: str,
    dedupe_key: str,
    due_at: datetime,
    expires_at: datetime | None = None,
    stream: str = "",
    category: str = "",
    window: WindowLike | Window | None = None,
    buttons: Sequence[Sequence[Sequence[str]]] = (),
    lane: int = Lane.BULK,
    priority: int = 100,
    cap_per_day: int | None = None,
    cap_defers: bool = False,
    is_test: bool = False,
) -> Delivery:
    """A delivery as `enqueue` would owe it, not written; for `enqueue_many`.

    Raises ValueError as `enqueue` does.
    """
    if due_at.tzinfo is None or (expires_at is not None and expires_at.tzinfo is None):
        raise ValueError("a moment needs a zone")
    hours = _window(window)
    return Delivery(
        chat=chat, stream_id=stream_key(stream), lane=lane, priority=priority, category=category,
        dedupe_key=dedupe_key, text=text, trace=telemetry.traceparent(),
        buttons=[[list(button) for button in line] for line in buttons],
        due_at=due_at, run_at=due_at, expires_at=max(expires_at, due_at) if expires_at else None,
        window_opens=hours.opens if hours else None,
        window_closes=hours.closes if hours else None,
        window_days=hours.days if hours else EVERY_DAY,
        window_zone=hours.zone if hours else "",
        cap_per_day=cap_per_day, cap_defers=cap_defers, is_test=is_test,
    )  # fmt: skip


def enqueue_many(*, drafts: Sequence[Delivery]) -> None:
    """Owe all of these, each once per `dedupe_key`, in four statements whatever their number.

    Each draft has its row's key afterwards, the known row's where there was one; that row stays
    as it is, in the archive too. Safe to run twice.
    """
    if not drafts:
        return
    ensure_streams({row.stream_id for row in drafts})
    with transaction.atomic(savepoint=False):
        keys = _write(drafts)
    for row in drafts:
        row.pk, row._state.adding = keys[row.dedupe_key], False


def _write(drafts: Sequence[Delivery]) -> dict[str, int]:
    """Write them; the keys of the rows by `dedupe_key`.

    The archive is looked at after writing and before anybody else sees it. An insert waits for
    whoever moves the row of the same key just now, so what was moved is either in its way or found.
    """
    Delivery.objects.bulk_create(drafts, ignore_conflicts=True)
    wanted = [row.dedupe_key for row in drafts]
    rows = Delivery.objects.filter(dedupe_key__in=wanted)
    keys = dict(rows.values_list("dedupe_key", "pk"))
    archived = ArchivedDelivery.objects.filter(dedupe_key__in=wanted)
    past = dict(archived.values_list("dedupe_key", "pk"))
    if past:
        Delivery.objects.filter(dedupe_key__in=list(past)).delete()
    return keys | past


def _window(window: WindowLike | Window | None) -> Window | None:
    hours = window if window is None or isinstance(window, Window) else _read(window)
    if hours is not None and hours.zone not in known_zones():
        raise ValueError(f"the database knows no time zone {hours.zone!r}")
    return hours


def _read(window: WindowLike) -> Window:
    opens, closes, days, zone = window
    if days is None:
        mask = EVERY_DAY
    elif isinstance(days, int):
        mask = days
    else:
        mask = sum(1 << DAY_NAMES.index(day) for day in set(days))
    return Window(opens=_time(opens), closes=_time(closes), days=mask, zone=zone)


def _time(value: time | str) -> time:
    return time.fromisoformat(value) if isinstance(value, str) else value


def cancel(*, dedupe_keys: Iterable[str], reason: str) -> int:
    """Withdraw what is not on the wire yet; return how many were. Safe to run twice.

    A worker that holds one of them loses it: its fence rises. What is being sent, or was, stays.
    """
    return cancel_all(Delivery.objects.filter(dedupe_key__in=list(dedupe_keys)), reason=reason)


def cancel_each(*, dedupe_keys: Iterable[str], reason: str) -> set[str]:
    """As `cancel`, but say which were withdrawn; call it in a transaction."""
    rows = Delivery.objects.filter(dedupe_key__in=list(dedupe_keys), status__in=UNSENT | IN_FLIGHT)
    held = rows.order_by("id").select_for_update(no_key=True)
    states = dict(held.values_list("dedupe_key", "status"))
    cancel(dedupe_keys=states, reason=reason)
    return {key for key, status in states.items() if status in UNSENT}


@transaction.atomic(savepoint=False)
def cancel_all(deliveries: QuerySet[Delivery], *, reason: str) -> int:
    """As `cancel`, for a queryset.

    What is on the wire just now is marked: should it turn out not to have been accepted, it ends
    here instead of being tried again.
    """
    # Held first: what a sender takes to the wire between the two statements would escape both.
    owed = deliveries.filter(status__in=UNSENT | IN_FLIGHT).order_by("id")
    list(owed.select_for_update(no_key=True, of=("self",)).values_list("pk"))
    deliveries.filter(status=Status.SENDING).update(withdrawal=str(reason))
    return deliveries.filter(status__in=UNSENT).update(
        status=Status.CANCELLED,
        reason=str(reason),
        fence=F("fence") + 1,
        lease_until=None,
        leased_by="",
        slot_at=None,
        settled_at=BusinessNow(),
    )


def retime(*, dedupe_key: str, due_at: datetime, expires_at: datetime | None = None) -> bool:
    """Move what is not on the wire yet to another moment; return whether it was still to be moved.

    A lease on it is broken, so that it cannot go out at the old time.
    """
    return bool(
        Delivery.objects.filter(dedupe_key=dedupe_key, status__in=UNSENT).update(
            status=Status.PENDING,
            due_at=due_at,
            run_at=due_at,
            expires_at=expires_at,
            fence=F("fence") + 1,
            lease_until=None,
            leased_by="",
            slot_at=None,
        )
    )


def set_hours(*, dedupe_key: str, window: Window | None) -> bool:
    """Let what is not on the wire yet go out in these hours; return whether it was not.

    A lease on it stands: the intent looks at the hours. Safe to run twice. Raises ValueError for a
    zone that the database does not know, as `enqueue` does.
    """
    rows = Delivery.objects.filter(dedupe_key=dedupe_key, status__in=UNSENT)
    hours = _window(window)
    return bool(
        rows.update(
            window_opens=hours.opens if hours else None,
            window_closes=hours.closes if hours else None,
            window_days=hours.days if hours else EVERY_DAY,
            window_zone=hours.zone if hours else "",
        )
    )


def claim_settled(*, limit: int) -> list[Delivery]:
    """Settled deliveries nobody took note of yet, oldest first, locked for this transaction."""
    return list(
        Delivery.objects.filter(settled_at__isnull=False, observed_at__isnull=True)
        .order_by("settled_at", "id")
        .select_for_update(skip_locked=True, no_key=True, of=("self",))[:limit]
    )


def mark_observed(*, deliveries: Iterable[Delivery]) -> int:
    """Say that their end was taken note of, in the transaction that acts on it."""
    keys = [delivery.pk for delivery in deliveries]
    return Delivery.objects.filter(pk__in=keys, observed_at__isnull=True).update(
        observed_at=BusinessNow()
    )


@transaction.atomic
def resolve_by_evidence(*, delivery_id: int) -> bool:
    """A button of this delivery was pressed, so it arrived: it counts as sent from now on.

    Be it unknown, still on the wire (its answer may never come), or owed once more by staff, whose
    second copy is not sent then. What was never tried cannot be proved. Safe to run twice.
    """
    rows = Delivery.objects.filter(pk=delivery_id)
    row = rows.select_for_update(no_key=True).first()
    if row is None or row.status not in {*UNSENT, Status.SENDING, Status.UNKNOWN}:
        return False
    if row.status in UNSENT:
        if not row.tries.filter(outcome=AttemptOutcome.UNKNOWN).exists():
            return False
        # By the legal way; whoever holds it loses it.
        lease = {"lease_until": row.lease_until or row.due_at, "fence": F("fence") + 1}
        rows.filter(status=Status.PENDING).update(status=Status.LEASED, **lease)
        rows.update(status=Status.SENDING, **lease)
    row.tries.filter(outcome=AttemptOutcome.OPEN).update(
        outcome=AttemptOutcome.SENT,
        finished_at=Now(),
        description="a button of it was pressed, or staff saw it",
    )
    return bool(
        rows.update(
            status=Status.SENT,
            reason="",
            sent_at=F("intent_at"),
            settled_at=BusinessNow(),
            lease_until=None,
            leased_by="",
            slot_at=None,
        )
    )
