"""What a person decides about an outcome; it stands until a person takes it back."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from attendance.domain.kinds import Flag, Origin, OutcomeKind
from attendance.domain.reasons import Reason
from attendance.models import ClassSession, Learner, Outcome
from attendance.services.facts import Change, publish
from attendance.services.pledges import close_pledges

DECIDABLE = (
    OutcomeKind.ATTENDED,
    OutcomeKind.LATE,
    OutcomeKind.LEFT_EARLY,
    OutcomeKind.PARTIAL,
    OutcomeKind.MISSED,
    OutcomeKind.EXCUSED,
)


@transaction.atomic
def correct_outcome(
    *,
    learner: Learner,
    session: ClassSession,
    outcome: OutcomeKind,
    by: str,
    note: str,
    now: datetime,
) -> Outcome:
    """Write what a person says about a learner in a class; it has effect at once.

    Facts go out as for any outcome, within 72 hours of the class's end; what was said before is
    withdrawn by `corrected`, also later. The records never overwrite it; `take_back` lets them
    speak again. Raises ValueError for an outcome that nobody can decide, or a class that is not
    over. The same decision again changes nothing.
    """
    if outcome not in DECIDABLE:
        raise ValueError(f"{outcome} is no decision")
    locked = ClassSession.objects.select_for_update(no_key=True).get(pk=session.pk)
    if locked.ends_at > now:
        raise ValueError("the class is not over; nothing was changed")
    before = Outcome.objects.filter(learner=learner, session=locked, is_current=True).first()
    if before and before.origin == Origin.STAFF and before.outcome == outcome:
        return before
    if before:
        Outcome.objects.filter(pk=before.pk).update(is_current=False)
    after = _decided(before, learner, locked, outcome)
    after.decided_by, after.note, after.decided_at = by, note[:300], now
    after.effective_at = now
    after.save()
    corrects = before is not None and before.effective and before.outcome != after.outcome
    if corrects or before is None or not before.effective or _was_brief(before, after):
        change = Change(after, corrects)
        close_pledges(session=locked, outcomes=[after])
        publish(session=locked, changes=[change], now=now)
    return after


def _decided(
    before: Outcome | None, learner: Learner, session: ClassSession, outcome: OutcomeKind
) -> Outcome:
    """The next revision, with what the records had said kept beside it."""
    seen = before or Outcome()
    return Outcome(
        learner=learner,
        session=session,
        revision=before.revision + 1 if before else 1,
        outcome=outcome.value,
        present_seconds=seen.present_seconds,
        share=seen.share,
        first_join_at=seen.first_join_at,
        last_leave_at=seen.last_leave_at,
        effective=True,
        origin=Origin.STAFF.value,
        policy=seen.policy,
        reason=Reason.STAFF_DECIDED.value,
        inputs={"was": before.outcome, "because": before.reason} if before else {},
    )


def _was_brief(before: Outcome, after: Outcome) -> bool:
    """A person confirms an absence of which no fact was published, since they were seen briefly."""
    return Flag.BRIEF in before.flags and after.outcome == OutcomeKind.MISSED
