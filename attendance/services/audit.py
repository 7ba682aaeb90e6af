"""The weekly audit: twenty outcomes drawn at random, and what a person says of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from django.db import transaction

from attendance.domain.evaluation import HARD_CASES_AT_LEAST
from attendance.domain.kinds import AuditVerdict, Origin, OutcomeKind
from attendance.models import AuditPair, Outcome
from attendance.selectors.accuracy import monday

SIZE = 20


@transaction.atomic
def draw_audit(*, now: datetime, size: int = SIZE) -> int:
    """Draw this week's pairs from the classes of the week before; return how many are new.

    Seeded by the week, so drawing twice changes nothing. At least 30 % are not plainly attended
    where there are as many. Decisions of staff are not audited: they are the truth here.
    """
    week = monday(now)
    if AuditPair.objects.filter(week=week).exists():
        return 0
    ended = datetime.combine(week, time(), UTC)
    rows = Outcome.objects.filter(
        is_current=True,
        effective=True,
        origin=Origin.ENGINE,
        session__ends_at__gte=ended - timedelta(weeks=1),
        session__ends_at__lt=ended,
    )
    plain = list(
        rows.filter(outcome=OutcomeKind.ATTENDED).order_by("pk").values_list("pk", flat=True)
    )
    hard = list(
        rows.exclude(outcome=OutcomeKind.ATTENDED).order_by("pk").values_list("pk", flat=True)
    )
    drawn = _sample(random.Random(f"audit {week}"), plain=plain, hard=hard, size=size)
    made = AuditPair.objects.bulk_create(
        [AuditPair(outcome_id=pk, week=week, drawn_at=now) for pk in drawn], ignore_conflicts=True
    )
    return len(made)


def _sample(
    dice: random.Random, *, plain: Sequence[int], hard: Sequence[int], size: int
) -> list[int]:
    first = dice.sample(hard, min(len(hard), round(size * HARD_CASES_AT_LEAST)))
    rest = sorted({*plain, *hard} - set(first))
    return sorted([*first, *dice.sample(rest, min(len(rest), size - len(first)))])


@transaction.atomic
def judge_audit(
    *, pair: AuditPair, verdict: AuditVerdict, truth: OutcomeKind | None, by: str, now: datetime
) -> AuditPair:
    """Record whether an outcome is right, or what it was; the last word counts.

    It changes no outcome: correct that on its own page. Raises ValueError where a wrong one
    has no truth, or the very outcome for it.
    """
    row = (
        AuditPair.objects.select_for_update(of=("self",)).select_related("outcome").get(pk=pair.pk)
    )
    if verdict == AuditVerdict.WRONG:
        if truth is None:
            raise ValueError("Say what it was instead. Nothing was noted.")
        if truth == row.outcome.outcome:
            raise ValueError("That is what we said; then it is right. Nothing was noted.")
    row.verdict, row.decided_by, row.decided_at = verdict.value, by, now
    row.truth = truth.value if truth and verdict == AuditVerdict.WRONG else ""
    row.save(update_fields=["verdict", "truth", "decided_by", "decided_at"])
    return row
