"""Marks by which learners are surely known, from a list that somebody vouches for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from attendance.domain.imports import IdentityRow, Problem, Row, batches, identity_row, parsed
from attendance.domain.kinds import SURE_IDENTITIES, IdentityStatus
from attendance.models import Course, LearnerIdentity
from attendance.services.identities import mark_of
from attendance.services.imports.people import NOBODY, ImportRefusedError, learners_by_address
from attendance.services.matching import link_known

ORIGIN = "import"


@dataclass
class IdentitiesImported:
    """How many marks are new, became sure, or were known as sure already."""

    created: int = 0
    confirmed: int = 0
    unchanged: int = 0


@dataclass
class _Work:
    problems: list[Problem] = field(default_factory=list)
    new: list[LearnerIdentity] = field(default_factory=list)
    changed: list[LearnerIdentity] = field(default_factory=list)


@transaction.atomic
def import_identities(
    *, rows: Iterable[Row | Problem], now: datetime, dry_run: bool = False
) -> IdentitiesImported:
    """Give learners marks by which they are surely known, all or none of them.

    Endpoints that show such a mark are linked at once. Raises ImportRefusedError with every
    mistake: an unknown learner or course, a mark that surely belongs to another learner, one that
    staff rejected. `dry_run` does everything and takes it back. The same rows again change nothing.
    """
    done, problems = IdentitiesImported(), []
    for batch in batches(parsed(rows, identity_row)):
        work = _Work(problems=[row for row in batch if isinstance(row, Problem)])
        given = [row for row in batch if isinstance(row, IdentityRow)]
        _decide(given, work, now)
        LearnerIdentity.objects.bulk_create(work.new)
        LearnerIdentity.objects.bulk_update(work.changed, ["status", "origin", "created_by"])
        done.created += len(work.new)
        done.confirmed += len(work.changed)
        done.unchanged += len(batch) - len(work.new) - len(work.changed)
        problems += work.problems
    if problems:
        raise ImportRefusedError(problems)
    if done.created or done.confirmed:
        link_known(now=now)
    if dry_run:
        transaction.set_rollback(True)
    return done


def _decide(given: Sequence[IdentityRow], work: _Work, now: datetime) -> None:
    learners = learners_by_address(row.email for row in given)
    courses = dict(
        Course.objects.filter(calendar_id__in={row.course for row in given}).values_list(
            "calendar_id", "pk"
        )
    )
    wanted: list[tuple[IdentityRow, LearnerIdentity]] = []
    for row in given:
        if row.email not in learners:
            _refuse(work, row, NOBODY.format(email=row.email))
        elif row.course and row.course not in courses:
            _refuse(work, row, f"there is no course {row.course!r}")
        else:
            wanted.append((row, _sure(row, learners[row.email], courses.get(row.course), now)))
    known: dict[str, list[LearnerIdentity]] = defaultdict(list)
    marks = {mark_of(identity) for _, identity in wanted}
    for identity in LearnerIdentity.objects.select_for_update(of=("self",)).filter(mark__in=marks):
        known[mark_of(identity)].append(identity)
    for row, identity in wanted:
        _place(row, identity, known[mark_of(identity)], work)


def _sure(row: IdentityRow, learner: int, course: int | None, now: datetime) -> LearnerIdentity:
    return LearnerIdentity(
        learner_id=learner,
        kind=row.kind.value,
        value_key=row.value,
        status=IdentityStatus.STAFF_CONFIRMED.value,
        course_id=course,
        origin=ORIGIN,
        created_at=now,
    )


def _place(
    row: IdentityRow, wanted: LearnerIdentity, same_mark: list[LearnerIdentity], work: _Work
) -> None:
    """Decide about one mark, with those of the same mark that stand or are about to."""
    own = next((known for known in same_mark if known.learner_id == wanted.learner_id), None)
    others = (known for known in same_mark if known.learner_id != wanted.learner_id)
    if any(known.status in SURE_IDENTITIES for known in others):
        _refuse(work, row, f"this {row.kind} surely belongs to another learner already")
    elif own is None:
        work.new.append(wanted)
        same_mark.append(wanted)
    elif own.status == IdentityStatus.REJECTED:
        _refuse(work, row, f"staff said that this {row.kind} is not this learner's")
    elif own.status not in SURE_IDENTITIES:
        own.status, own.origin, own.created_by = wanted.status, ORIGIN, ""
        work.changed.append(own)


def _refuse(work: _Work, row: IdentityRow, what: str) -> None:
    work.problems.append(Problem(number=row.number, what=what))
