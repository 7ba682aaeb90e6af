"""Sequences after whose messages learners leave: held by themselves, and staff are told once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from delivery import services as delivery
from delivery.models import Gate
from nurture import selectors
from nurture.domain.leaving import LOOKS_BACK, Leaving, worst
from nurture.models import Sequence, StaffTask, TaskKind

BY = "telbot"
NOTE = """\
{gate} is held: {reason}.
What it owes waits. Look at its words; then open the gate again, in the admin or by \
`manage.py resume {gate}`."""


@transaction.atomic
def hold_what_drives_away(*, now: datetime) -> int:
    """Close the gate of each sequence that too many learners leave after; return how many.

    What it owes waits. Messages from before somebody opened the gate do not count again. Also
    tells staff of every stream that closed by itself, whoever closed it, once for each closing.
    Safe to run twice and in many processes.
    """
    held = 0
    suspects = selectors.driven_away(now=now)
    if suspects:
        found = selectors.left_by_step(
            sequence_ids=suspects, since=now - LOOKS_BACK, now=now, since_opened=True
        )
        slugs = dict(Sequence.objects.filter(pk__in=found).values_list("pk", "slug"))
        for pk, rows in sorted(found.items()):
            step = worst(rows)
            held += step is not None and _hold(slugs[pk], step)
    _tell_staff(now)
    return held


def _hold(slug: str, step: Leaving) -> bool:
    """Close the gate, unless somebody else has just done so."""
    key = delivery.stream_key(slug)
    opened = Gate.objects.filter(key=key, closed_until__lte=Now())
    if opened.select_for_update(no_key=True).first() is None:
        return False
    delivery.close_gate(key=key, reason=why(step), by=BY)
    return True


def why(step: Leaving) -> str:
    """What is said of a sequence that was held for one of its steps."""
    return (
        f"within 24 h of step {step.step_key} {step.left} of {step.messages} learners left "
        f"({step.share:.0%}): {step.blocked} blocked the bot, {step.stopped} said stop"
    )


def _tell_staff(now: datetime) -> None:
    tasks = [
        StaffTask(
            kind=TaskKind.SEQUENCE_HELD, key=task, created_at=now,
            note=NOTE.format(gate=gate, reason=reason),
        )
        for task, gate, reason in selectors.held_unseen()
    ]  # fmt: skip
    StaffTask.objects.bulk_create(tasks, ignore_conflicts=True)
