"""Classes of the past and who was in them, from wherever that was kept before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from attendance.domain.imports import (
    PLEDGES_AHEAD,
    HistoryRow,
    Problem,
    Row,
    batches,
    history_row,
    parsed,
)
from attendance.domain.kinds import Origin, SessionStatus
from attendance.domain.reasons import Reason
from attendance.models import ClassSession, Course, Enrolment, Outcome, Pledge
from attendance.services.imports.people import NOBODY, ImportRefusedError, learners_by_address
from attendance.services.roster import upsert_courses

SOURCE = "import"


@dataclass
class HistoryImported:
    """How many rows are new, and how many of the file's were there already and stay."""

    classes: int = 0
    enrolments: int = 0
    outcomes: int = 0
    pledges: int = 0
    kept: int = 0  # outcomes
    pledges_kept: int = 0


@dataclass(frozen=True)
class _Placed:
    """A row with its learner and class."""

    row: HistoryRow
    learner_id: int
    session: ClassSession


@dataclass
class _Import:
    """One import as it goes on."""

    now: datetime
    done: HistoryImported = field(default_factory=HistoryImported)
    problems: list[Problem] = field(default_factory=list)
    #: The line that had a learner and a class first.
    lines: dict[tuple[int, int], int] = field(default_factory=dict)

    def refuse(self, row: HistoryRow, what: str) -> None:
        """Note what is wrong with a row."""
        self.problems.append(Problem(number=row.number, what=what))


@transaction.atomic
def import_history(
    *, rows: Iterable[Row | Problem], now: datetime, dry_run: bool = False
) -> HistoryImported:
    """Bring in past classes, outcomes and promises, all or none of them.

    Classes are made settled and at rest; outcomes have effect, so streaks count them, but no fact
    goes out. What is known already is kept: a class, an outcome, a promise, an ended enrolment. A
    class that ends after `now` may only be promised, and must be known. Raises ImportRefusedError
    with every mistake. `dry_run` does everything and takes it back. The same rows again change
    nothing.
    """
    work = _Import(now=now)
    for batch in batches(parsed(rows, history_row)):
        work.problems += [row for row in batch if isinstance(row, Problem)]
        _take([row for row in batch if isinstance(row, HistoryRow)], work)
    if work.problems:
        raise ImportRefusedError(work.problems)
    if dry_run:
        transaction.set_rollback(True)
    return work.done


def _take(given: Sequence[HistoryRow], work: _Import) -> None:
    """Write one batch in a constant number of statements."""
    learners = learners_by_address(row.email for row in given)
    courses = upsert_courses(calendar_ids=[row.course for row in given])
    timetable = _Timetable.of(given, courses, work.now)
    pairs = []
    for row in given:
        if row.email not in learners:
            work.refuse(row, NOBODY.format(email=row.email))
        elif isinstance(session := timetable.find(row, courses[row.course]), str):
            work.refuse(row, session)
        else:
            pairs.append(_Placed(row, learners[row.email], session))
    ClassSession.objects.bulk_create(timetable.new)
    work.done.classes += len(timetable.new)
    fresh = _once(pairs, work)
    _enrol(fresh, work)
    _write_outcomes(fresh, work)
    _write_pledges(fresh, work)


@dataclass
class _Timetable:
    """The classes that the rows of one batch may mean, and those that are made for them."""

    now: datetime
    by_event: dict[tuple[int, str], ClassSession] = field(default_factory=dict)
    by_start: dict[tuple[int, datetime], list[ClassSession]] = field(
        default_factory=lambda: defaultdict(list)
    )
    new: list[ClassSession] = field(default_factory=list)

    @classmethod
    def of(
        cls, given: Sequence[HistoryRow], courses: dict[str, Course], now: datetime
    ) -> _Timetable:
        """Read and lock what is known, so that the settler waits for the outcomes."""
        found = cls(now=now)
        ids = {name for row in given for name in (row.session, row.made_id) if name}
        same = Q(event_id__in=ids) | Q(starts_at__in={row.starts_at for row in given})
        rows = ClassSession.objects.select_for_update(no_key=True).filter(
            same, course__in=list(courses.values())
        )
        for session in rows.order_by("pk"):
            found.add(session)
        return found

    def add(self, session: ClassSession) -> None:
        """Know one more class."""
        self.by_event[session.course_id, session.event_id] = session
        if session.status != SessionStatus.CANCELLED:
            self.by_start[session.course_id, session.starts_at].append(session)

    def find(self, row: HistoryRow, course: Course) -> ClassSession | str:
        """Return the class of a row, made if it is over and unknown, or what is wrong."""
        same_start = self.by_start[course.pk, row.starts_at]
        session = self.by_event.get((course.pk, row.session or row.made_id))
        if session is None and not row.session and same_start:
            if len(same_start) > 1:
                return "several classes of this course begin then; say which one in `session`"
            session = same_start[0]
        if session is not None and session.starts_at != row.starts_at:
            return f"this class is known to begin at {session.starts_at.isoformat()}"
        ends_at = max(row.ends_at, session.ends_at) if session else row.ends_at
        if ends_at > self.now:
            if row.outcome or row.pledge not in {None, *PLEDGES_AHEAD}:
                return "this class is not over; it can only be pledged (yes or no)"
            return session or "this class is not over and not known; sync the calendar first"
        return session or self._make(row, course)

    def _make(self, row: HistoryRow, course: Course) -> ClassSession:
        session = ClassSession(
            course=course,
            event_id=row.session or row.made_id,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            title=row.title,
            status=SessionStatus.SETTLED.value,
            settled_at=row.ends_at,
            changed_at=self.now,
        )
        self.new.append(session)
        self.add(session)
        return session


def _once(pairs: Sequence[_Placed], work: _Import) -> list[_Placed]:
    """Refuse what the file says twice: two lines could say two things."""
    fresh = []
    for placed in pairs:
        key = (placed.learner_id, placed.session.pk)
        first = work.lines.setdefault(key, placed.row.number)
        if first == placed.row.number:
            fresh.append(placed)
        else:
            work.refuse(placed.row, f"the same learner and class as in line {first}")
    return fresh


def _enrol(pairs: Sequence[_Placed], work: _Import) -> None:
    """Enrol who never was in the course; an enrolment that has ended stays ended."""
    wanted = {(placed.learner_id, placed.session.course_id) for placed in pairs}
    known = set(
        Enrolment.objects.filter(
            learner__in={learner for learner, _ in wanted},
            course__in={course for _, course in wanted},
        ).values_list("learner_id", "course_id")
    )
    missing = sorted(wanted - known)
    Enrolment.objects.bulk_create([Enrolment(learner_id=one, course_id=of) for one, of in missing])
    work.done.enrolments += len(missing)


def _write_outcomes(pairs: Sequence[_Placed], work: _Import) -> None:
    given = [(placed, placed.row.outcome) for placed in pairs if placed.row.outcome]
    known = set(
        Outcome.objects.filter(
            learner__in={placed.learner_id for placed, _ in given},
            session__in={placed.session.pk for placed, _ in given},
        ).values_list("learner_id", "session_id")
    )
    new = [
        Outcome(
            learner_id=placed.learner_id,
            session=placed.session,
            revision=1,
            outcome=outcome.value,
            effective=True,
            effective_at=work.now,
            origin=Origin.IMPORT.value,
            reason=Reason.IMPORTED.value,
            decided_at=work.now,
        )
        for placed, outcome in given
        if (placed.learner_id, placed.session.pk) not in known
    ]
    Outcome.objects.bulk_create(new)
    work.done.outcomes += len(new)
    work.done.kept += len(given) - len(new)


def _write_pledges(pairs: Sequence[_Placed], work: _Import) -> None:
    given = [(placed, placed.row.pledge) for placed in pairs if placed.row.pledge]
    known = set(
        Pledge.objects.filter(
            learner__in={placed.learner_id for placed, _ in given},
            session__in={placed.session.pk for placed, _ in given},
        ).values_list("learner_id", "session_id")
    )
    new = [
        Pledge(
            learner_id=placed.learner_id,
            session=placed.session,
            state=pledge.value,
            # When it was given is not known; before the class, at the latest now.
            answered_at=min(placed.session.starts_at, work.now),
            source=SOURCE,
        )
        for placed, pledge in given
        if (placed.learner_id, placed.session.pk) not in known
    ]
    Pledge.objects.bulk_create(new, ignore_conflicts=True)
    work.done.pledges += len(new)
    work.done.pledges_kept += len(given) - len(new)
