"""What staff make of a dry run's messages: let them go out after all, or discard them (P24)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import transaction

from delivery import services as delivery
from delivery.domain import reasons as delivery_reasons
from delivery.domain.windows import Window
from delivery.models import Delivery
from nurture import texts
from nurture.domain.reasons import Reason
from nurture.models import Decision, DryRunVerdict, Journey, WouldSend
from nurture.services.journeys import situation_of
from nurture.services.world import World

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def sort_out(
    *, delivery_ids: Iterable[int], now: datetime
) -> tuple[list[Decision], list[tuple[Decision, str]]]:
    """The messages among these that may be released, and the others each with why not.

    A message is told by the decision that planned it. Nothing is written.
    """
    planned = Decision.objects.filter(delivery__in=set(delivery_ids), code=Reason.STEP_PLANNED)
    rows = planned.select_related(
        "delivery__chat", "delivery__dry_run_verdict", "journey__cause__outcome",
        "learner__contact", "sequence",
        "journey__learner", "journey__course", "journey__session__course",
    ).order_by("delivery_id")  # fmt: skip
    world = World(now=now)
    world.read(row.journey for row in rows if row.journey)
    found = [(row, _why_not(row, now) or _what_is_stale(row, world)) for row in rows]
    return [row for row, why in found if not why], [(row, why) for row, why in found if why]


def _why_not(row: Decision, now: datetime) -> str:
    message, journey = row.delivery, row.journey
    if message is None or journey is None or message.reason != delivery_reasons.Reason.DRY_RUN:
        return "It would not have gone out."
    if hasattr(message, "dry_run_verdict"):
        return "Somebody decided about it already."
    if message.expires_at is not None and message.expires_at <= now:
        return delivery_reasons.EXPLAIN[delivery_reasons.Reason.EXPIRED]
    contact = getattr(row.learner, "contact", None)
    if contact is None or contact.chat_id != message.chat_id:  # who has it now is somebody else
        return "The chat it was meant for is not theirs any more."
    outcome = journey.cause.outcome if journey.cause else None
    if outcome is not None and not (outcome.is_current and outcome.effective):
        return delivery_reasons.EXPLAIN[delivery_reasons.Reason.CORRECTED]
    return ""


def _what_is_stale(row: Decision, world: World) -> str:
    """What a text says of the next class may have changed since it was pretended."""
    assert row.journey is not None, "asked of what may go out otherwise"
    assert row.delivery is not None, "asked of what may go out otherwise"
    here = situation_of(row.journey, world)
    step = None if isinstance(here, Reason) else here.step(row.step_key)
    if step is None or isinstance(here, Reason) or not here.names_next_class(step):
        return ""
    try:
        same = here.render(step, at=world.now) == row.delivery.text
    except texts.TextError:
        same = False
    return "" if same else "What it says of the next class is not so any more."


@transaction.atomic
def release(*, delivery_ids: Iterable[int], by: User | None, now: datetime) -> int:
    """Owe the learners what the dry run would have sent them; return how many messages.

    Each is asked what any message is asked: consent, hours, cap, gates. What may not be released
    is left. Safe to run twice: each is released once.
    """
    world = World(now=now)
    going, _ = sort_out(delivery_ids=_held(delivery_ids), now=now)
    for row in going:
        assert row.delivery is not None, "sort_out leaves those out"
        assert row.journey is not None, "sort_out leaves those out"
        owed = _owe(row.delivery, row.journey, world)
        DryRunVerdict.objects.create(
            delivery=row.delivery, released_as=owed, released=True, at=now, by=by
        )
        Decision.objects.create(
            learner=row.learner, sequence=row.sequence, journey=row.journey,
            step_key=row.step_key, code=Reason.RELEASED, delivery=owed, decided_at=now,
            inputs={"by": by.get_username() if by else ""},
        )  # fmt: skip
    return len(going)


@transaction.atomic
def discard(*, delivery_ids: Iterable[int], by: User | None, now: datetime) -> int:
    """Say that these are not wanted; return of how many nobody had said so before.

    Safe to run twice.
    """
    undecided = WouldSend.objects.filter(
        pk__in=_held(delivery_ids), reason=delivery_reasons.Reason.DRY_RUN,
        dry_run_verdict__isnull=True,
    )  # fmt: skip
    made = DryRunVerdict.objects.bulk_create(
        DryRunVerdict(delivery_id=pk, released=False, at=now, by=by)
        for pk in undecided.values_list("pk", flat=True)
    )
    return len(made)


def _held(delivery_ids: Iterable[int]) -> Sequence[int]:
    """These messages, so that two people decide one after the other."""
    rows = Delivery.objects.filter(pk__in=set(delivery_ids)).order_by("id")
    return list(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _owe(message: Delivery, journey: Journey, world: World) -> Delivery:
    """The same words, in the hours of now."""
    window, here = None, situation_of(journey, world)
    opening = None if isinstance(here, Reason) else here.opening(world.now)
    if opening is not None and not isinstance(here, Reason):
        window = here.hours(opening)
    elif message.window_opens is not None and message.window_closes is not None:
        window = Window(
            opens=message.window_opens, closes=message.window_closes, days=message.window_days,
            zone=message.window_zone,
        )  # fmt: skip
    return delivery.enqueue(
        chat=message.chat, text=message.text, dedupe_key=f"released:{message.pk}", due_at=world.now,
        expires_at=message.expires_at, stream=journey.sequence.slug,
        category=message.category, window=window, buttons=message.buttons,
        priority=message.priority, cap_per_day=message.cap_per_day, cap_defers=message.cap_defers,
    )  # fmt: skip
