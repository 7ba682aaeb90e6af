"""Questions to staff: each asked once, and taken back where it has answered itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection
from django.db.models import Q

from attendance.domain.hints import Guest, Hint, guest_key
from attendance.domain.kinds import ReviewKind, ReviewState
from attendance.models import ClassSession, ReviewItem
from attendance.selectors.queue import BY_ITSELF

ERASED = "erased"  # the decision about somebody who was erased while it was open
GONE = "erased:"  # how the key begins of a question of which nothing but its count is left
# Answers to these hold for good; the others may be asked again when they come up again.
_COMES_UP_AGAIN = frozenset({ReviewKind.GOOGLE_DARK, ReviewKind.DISPUTE})

# A person who has become known, or was found to be none of ours, is no question any more.
_ANSWER_KNOWN = """
UPDATE attendance_reviewitem AS item
SET state = 'decided', decision = %(decision)s, decided_by = 'telbot', decided_at = %(now)s
WHERE item.state = 'open' AND item.kind = 'guest' AND item.mark <> '' AND (
    EXISTS (SELECT FROM attendance_learneridentity AS identity
            WHERE identity.status IN ('verified', 'staff_confirmed')
              AND (identity.mark = item.mark
                   OR identity.course_id = item.course_id
                      AND identity.kind || ':' || identity.value_key = item.mark))
    OR EXISTS (SELECT FROM attendance_outsider AS outsider
               WHERE outsider.mark = item.mark
                 AND (outsider.course_id IS NULL OR outsider.course_id = item.course_id)))
"""


def ask(items: Sequence[ReviewItem]) -> int:
    """Put questions to staff; return how many are new. What a person answered is not asked again.

    What had answered itself is: somebody who was known may have been found not to be that person.
    """
    by_key = {item.key: item for item in items}
    answered = ~Q(kind__in=sorted(_COMES_UP_AGAIN)) & ~Q(decision=BY_ITSELF)
    asked = Q(state=ReviewState.OPEN) | answered
    known = set(ReviewItem.objects.filter(asked, key__in=by_key).values_list("key", flat=True))
    fresh = [item for key, item in sorted(by_key.items()) if key not in known]
    ReviewItem.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh)


def answer_itself(*, keys: Sequence[str], now: datetime) -> int:
    """Close open questions of these keys, since what they asked is settled by itself."""
    return ReviewItem.objects.filter(key__in=keys, state=ReviewState.OPEN).update(
        state=ReviewState.DECIDED.value,
        decision=BY_ITSELF,
        decided_by="telbot",
        decided_at=now,
    )


def answer_known(*, now: datetime) -> int:
    """Close questions about people who are known by now; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(_ANSWER_KNOWN, {"now": now, "decision": BY_ITSELF})
        return int(cursor.rowcount)


def guest_question(
    *, session: ClassSession, guest: Guest, hint: Hint, holds: int, now: datetime
) -> ReviewItem:
    """Ask who a guest was: once for an address or a number, once a course for a name."""
    return ReviewItem(
        kind=ReviewKind.GUEST.value,
        key=guest_key(guest=guest, course_id=session.course_id),
        mark=guest.mark,
        course_id=session.course_id,
        session=session,
        endpoint_id=guest.endpoint,
        evidence={
            "why": hint.why,
            "level": hint.level,
            "candidates": sorted(hint.learners or ()),
            "holds": holds,
        },
        created_at=now,
    )
