"""Deciding what staff were asked, and showing beforehand what a decision would do.

The preview is the decision itself, rolled back: there is no second way to compute its effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

from django.db import transaction

from attendance.domain.kinds import OutcomeKind, ReviewKind, ReviewState
from attendance.models import AttendanceEvent, ClassSession, Learner, Outcome, ReviewItem
from attendance.selectors.queue import BY_ITSELF
from attendance.services import identities
from attendance.services.answers import LEAVE, Choice, ReviewError, answers_for, no_answer
from attendance.services.corrections import DECIDABLE, correct_outcome
from attendance.services.disputes import uphold
from attendance.services.questions import GONE, answer_known
from attendance.services.settling import settle_session, take_back

RECORDS = "records"  # let Google's records speak again


@dataclass(frozen=True)
class Changed:
    """What a decision does to one learner in one class."""

    learner: Learner
    session: ClassSession
    before: str
    after: str
    effective: bool
    facts: tuple[str, ...]  # new facts that other apps will act on


def choices(item: ReviewItem) -> list[Choice]:
    """The answers that a question has, the likeliest first."""
    return answers_for(item).choices(item)


def words_of(item: ReviewItem, choice: str) -> str:
    """An answer in words, also one that names a learner whom the evidence does not."""
    words = {option.code: option.words for option in choices(item)}
    verb, _, rest = choice.partition(":")
    if choice not in words and verb in {"is", "not"} and rest.isdecimal():
        who = Learner.objects.filter(pk=int(rest)).first()
        name = (who.name or who.email) if who else "somebody who is gone"
        return f"This is {'not ' if verb == 'not' else ''}{name}"
    return words.get(choice, choice.replace("_", " "))


@transaction.atomic
def decide(*, item: ReviewItem, choice: str, by: str, now: datetime) -> list[Changed]:
    """Take a decision, and let the classes it concerns be judged again at once.

    Returns what changed. Raises ReviewError where the question is answered already or the
    choice is none of its own (any learner may be named for a guest: `is:<id>`).
    """
    locked = ReviewItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    if locked.state != ReviewState.OPEN:
        raise ReviewError(f"{locked.decided_by or 'Somebody'} has decided this already.")
    stays_open = False
    changed: list[Changed] = []
    if choice != LEAVE:
        act = partial(answers_for(locked).act, locked, choice, by=by, now=now)
        stays_open, changed = _judged_again(locked, act, now=now)
    if not stays_open:
        locked.state, locked.decision = ReviewState.DECIDED.value, choice
        locked.decided_by, locked.decided_at = by, now
        locked.save(update_fields=["state", "decision", "decided_by", "decided_at"])
        if choice == LEAVE:
            changed = _released(locked, now=now)
    answer_known(now=now)  # the same person may be asked about in other words
    if locked.kind == ReviewKind.DISPUTE and not changed:
        uphold(item=locked, now=now)
    return changed


def _released(item: ReviewItem, *, now: datetime) -> list[Changed]:
    """Judge a class at once that waited for the answer to a report; return what that changed."""
    waits = item.kind == ReviewKind.REPORT and item.session and item.session.next_check_at
    if not waits or item.session_id is None:
        return []
    judge = partial(settle_session, session_id=item.session_id, now=now)
    return _observed([item.session_id], judge)[1]


def preview(*, item: ReviewItem, choice: str, now: datetime) -> list[Changed]:
    """What `decide` would do; nothing is kept. Raises ReviewError as it does."""
    with transaction.atomic():
        found = decide(item=item, choice=choice, by="preview", now=now)
        transaction.set_rollback(True)
    return found


@transaction.atomic
def reopen(*, item: ReviewItem, by: str, now: datetime) -> list[Changed]:
    """Take a decision back and ask again; what it had made is undone. Returns what changed.

    Raises ReviewError where it is open, was asked anew meanwhile, or cannot be undone.
    """
    locked = ReviewItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    if locked.state != ReviewState.DECIDED:
        raise ReviewError("This is open; there is nothing to take back.")
    if locked.key.startswith(GONE):
        raise ReviewError("This was about somebody who was erased; nothing is left to decide.")
    if locked.decision == BY_ITSELF:
        raise ReviewError("This answered itself; it is asked again when it comes up again.")
    if ReviewItem.objects.filter(key=locked.key, state=ReviewState.OPEN).exists():
        raise ReviewError("The same was asked anew meanwhile; answer that one.")
    changed: list[Changed] = []
    if locked.decision != LEAVE:
        undo = partial(answers_for(locked).undo, locked, by=by, now=now)
        _, changed = _judged_again(locked, undo, now=now)
    locked.state, locked.decision, locked.decided_by = ReviewState.OPEN.value, "", ""
    locked.decided_at = None
    locked.save(update_fields=["state", "decision", "decided_by", "decided_at"])
    return changed


def correct(*, outcome: Outcome, to: str, by: str, note: str = "", now: datetime) -> list[Changed]:
    """Write what a person says of one learner in one class: an outcome, or RECORDS.

    RECORDS takes a person's earlier word back. Returns what changed. Raises ReviewError where it
    is no decision; nothing was changed then.
    """

    def act() -> None:
        if to == RECORDS:
            take_back(outcome=outcome, now=now)
        elif to in set(DECIDABLE):
            correct_outcome(
                learner=outcome.learner, session=outcome.session, outcome=OutcomeKind(to),
                by=by, note=note, now=now,
            )  # fmt: skip
        else:
            raise no_answer(to)

    with transaction.atomic():
        return _observed([outcome.session_id], act)[1]


def preview_correction(*, outcome: Outcome, to: str, now: datetime) -> list[Changed]:
    """What `correct` would do; nothing is kept. Raises ReviewError as it does."""
    with transaction.atomic():
        found = correct(outcome=outcome, to=to, by="preview", now=now)
        transaction.set_rollback(True)
    return found


T = TypeVar("T")


def _judged_again(
    item: ReviewItem, act: Callable[[], T], *, now: datetime
) -> tuple[T, list[Changed]]:
    """Do what was decided, judge the classes it concerns; return its answer and what changed."""
    sessions = _concerned(item)

    def judged() -> T:
        answer = act()
        for pk in sessions:
            settle_session(session_id=pk, now=now, late_counts=True)
        return answer

    return _observed(sessions, judged)


def _observed(sessions: Sequence[int], act: Callable[[], T]) -> tuple[T, list[Changed]]:
    """Do something and see what it changed in these classes."""
    before = _outcomes(sessions)
    newest = AttendanceEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    try:
        answer = act()
    except ValueError as error:  # of a service, in words for people
        raise ReviewError(str(error)) from error
    return answer, _changes(before, _outcomes(sessions), newest)


def _concerned(item: ReviewItem) -> list[int]:
    """The classes that a decision changes, oldest first, so that streaks are counted in order."""
    found = {item.session_id} if item.session_id else set()
    found |= set(item.evidence.get("sessions", ()))
    if item.mark:
        scoped = item.mark.startswith(("masked_email:", "display_name:"))
        course = item.course if scoped else None
        found |= set(identities.sessions_of_mark(mark=item.mark, course=course))
    rows = ClassSession.objects.filter(pk__in=found).order_by("starts_at", "pk")
    return list(rows.values_list("pk", flat=True))


def _outcomes(sessions: Iterable[int]) -> dict[tuple[int, int], Outcome]:
    rows = Outcome.objects.filter(session__in=list(sessions), is_current=True)
    return {
        (row.learner_id, row.session_id): row
        for row in rows.select_related("learner", "session__course")
    }


def _changes(
    before: Mapping[tuple[int, int], Outcome],
    after: Mapping[tuple[int, int], Outcome],
    newest: int,
) -> list[Changed]:
    facts: dict[tuple[int, int], list[str]] = {}
    for event in AttendanceEvent.objects.filter(pk__gt=newest).order_by("pk"):
        facts.setdefault((event.learner_id, event.session_id), []).append(event.kind)
    found = []
    for pair, now_ in sorted(after.items(), key=lambda row: (row[1].session.starts_at, row[0])):
        was = before.get(pair)
        same = was and (was.outcome, was.effective) == (now_.outcome, now_.effective)
        if not same or pair in facts:
            found.append(
                Changed(
                    learner=now_.learner,
                    session=now_.session,
                    before=was.outcome if was else "",
                    after=now_.outcome,
                    effective=now_.effective,
                    facts=tuple(facts.get(pair, ())),
                )
            )
    return found
