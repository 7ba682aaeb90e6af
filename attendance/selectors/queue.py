"""The review queue as a whole: what comes next, how much is done, what can be answered at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Q

from attendance.domain.kinds import ReviewKind, ReviewState
from attendance.models import ReviewItem

MOST_ALIKE = 200
MOST_LOOKED_AT = 2000
BY_ITSELF = "answered_itself"  # the decision on a question that nobody had to answer
# Guests of whom nothing says which learner they are; of the others each must be looked at.
_NOBODY_IN_PARTICULAR = frozenset({"anyone", "stranger", "room"})


@dataclass(frozen=True)
class Progress:
    """How far staff are today."""

    answered: int
    left: int

    @property
    def of(self) -> int:
        """All that there was to answer."""
        return self.answered + self.left


def progress(*, since: datetime) -> Progress:
    """What people have answered since then, and what is open."""
    by_people = Q(state=ReviewState.DECIDED, decided_at__gte=since) & ~Q(decision=BY_ITSELF)
    found = ReviewItem.objects.aggregate(
        answered=Count("pk", filter=by_people),
        left=Count("pk", filter=Q(state=ReviewState.OPEN)),
    )
    return Progress(**found)


def next_open(*, after: ReviewItem | None = None) -> ReviewItem | None:
    """The open question to look at next: what holds up most learners first.

    After a question comes the one behind it, and at the end the first again, so that what is put
    off comes back.
    """
    rows = ReviewItem.objects.filter(state=ReviewState.OPEN).values_list("evidence__holds", "pk")
    waiting = sorted((-int(holds or 0), pk) for holds, pk in rows[:MOST_LOOKED_AT])
    if after is not None:
        here = (-int(after.evidence.get("holds") or 0), after.pk)
        waiting = [key for key in waiting if key > here] + [key for key in waiting if key < here]
    return ReviewItem.objects.get(pk=waiting[0][1]) if waiting else None


def alike(item: ReviewItem) -> list[int]:
    """Open questions of the same sort in the same course, this one with them; by key.

    Only where nothing speaks for one learner, so that one answer may fit them all.
    """
    why = item.evidence.get("why")
    if item.kind != ReviewKind.GUEST or why not in _NOBODY_IN_PARTICULAR:
        return []
    rows = ReviewItem.objects.filter(
        state=ReviewState.OPEN, kind=item.kind, course=item.course_id, evidence__why=why
    )
    return list(rows.order_by("pk").values_list("pk", flat=True)[:MOST_ALIKE])
