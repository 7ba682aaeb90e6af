"""Who is enrolled in what: rows that come from an import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from attendance.domain.identity import email_key
from attendance.domain.kinds import SURE_IDENTITIES, IdentityKind, IdentityStatus
from attendance.models import (
    AttendancePolicy,
    ClassSession,
    Course,
    Enrolment,
    Learner,
    LearnerIdentity,
)
from attendance.services.erased import erased_among


class BadEmailError(ValueError):
    """The text is not one whole e-mail address; nothing was written."""


class ErasedAddressError(BadEmailError):
    """Somebody with this address was erased and does not come back by an import."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """A learner as an import tells of them."""

    email: str
    name: str
    calendar_ids: Iterable[str]


def upsert_learner(*, email: str, name: str, calendar_ids: Iterable[str], now: datetime) -> Learner:
    """Make or update the learner with this address and enrol them in these calendars.

    The address counts as verified: whoever imports vouches for it. Enrolments are added, never
    ended, and hold from the first class on, since an import does not know when they began; but
    once classes of a course were judged, who is added is not missed in one that began before.
    Raises BadEmailError. The same call again changes nothing.
    """
    person = Person(email=email, name=name, calendar_ids=calendar_ids)
    (learner,) = upsert_learners(people=[person], now=now).values()
    return learner


@transaction.atomic
def upsert_learners(*, people: Iterable[Person], now: datetime) -> dict[str, Learner]:
    """Do the same for many, in a constant number of statements; return them by normal form.

    Raises BadEmailError (ErasedAddressError where somebody was erased), before anything is
    written. The same call again changes nothing.
    """
    given: dict[str, Person] = {}
    for person in people:
        key = email_key(person.email)
        if not key:
            raise BadEmailError(
                f"{person.email!r} is not an e-mail address; nothing was written for it."
            )
        given[key] = person
    if erased_among(marks=[f"email:{key}" for key in given]):
        raise ErasedAddressError("Somebody here was erased; nothing was written.")
    learners = _learners(given, now=now)
    _verify(learners, now=now)
    wanted = {key: list(person.calendar_ids) for key, person in given.items()}
    courses = upsert_courses(calendar_ids=[name for names in wanted.values() for name in names])
    _enrol(
        {
            (learners[key].pk, courses[name.strip()].pk)
            for key, names in wanted.items()
            for name in names
        },
        now=now,
    )
    return learners


def _learners(given: Mapping[str, Person], *, now: datetime) -> dict[str, Learner]:
    """Those that are known, and in one statement those that are new or have changed."""
    found = {row.email_key: row for row in Learner.objects.filter(email_key__in=given)}
    written = []
    for key, person in sorted(given.items()):
        email, name = person.email.strip(), person.name.strip()
        learner = found.get(key)
        if learner is None or (learner.email, learner.name) != (email, name):
            written.append(Learner(email_key=key, email=email, name=name, created_at=now))
    Learner.objects.bulk_create(
        written,
        update_conflicts=True,
        unique_fields=["email_key"],
        update_fields=["email", "name", "name_words"],
    )
    changed = [row.email_key for row in written]
    found |= {row.email_key: row for row in Learner.objects.filter(email_key__in=changed)}
    return found


def _verify(learners: Mapping[str, Learner], *, now: datetime) -> None:
    """Note each address as its learner's, unless staff have given it to somebody else."""
    taken = {
        mark
        for mark, learner_id, status in LearnerIdentity.objects.filter(
            mark__in=[f"email:{key}" for key in learners]
        ).values_list("mark", "learner_id", "status")
        if status in SURE_IDENTITIES or learner_id == learners[mark.partition(":")[2]].pk
    }
    LearnerIdentity.objects.bulk_create(
        [
            LearnerIdentity(
                learner=learner,
                kind=IdentityKind.EMAIL,
                value_key=key,
                status=IdentityStatus.VERIFIED,
                origin="import",
                created_at=now,
            )
            for key, learner in sorted(learners.items())
            if f"email:{key}" not in taken
        ],
        ignore_conflicts=True,
    )


def _enrol(pairs: Set[tuple[int, int]], *, now: datetime) -> None:
    """Enrol each (learner, course) that is not enrolled now."""
    courses = {course for _, course in pairs}
    judged = ClassSession.objects.filter(course=OuterRef("pk"), settled_at__isnull=False)
    running = set(
        Course.objects.filter(Exists(judged), pk__in=courses).values_list("pk", flat=True)
    )
    known = set(
        Enrolment.objects.filter(
            learner__in={learner for learner, _ in pairs},
            course__in=courses,
            ends_at=None,
        ).values_list("learner_id", "course_id")
    )
    Enrolment.objects.bulk_create(
        [
            Enrolment(learner_id=one, course_id=of, noted_at=now if of in running else None)
            for one, of in sorted(pairs - known)
        ],
        ignore_conflicts=True,
    )


@transaction.atomic
def upsert_courses(*, calendar_ids: Iterable[str]) -> dict[str, Course]:
    """Make the courses of these calendars, each with the default policy; return them by calendar.

    Safe to run twice, also at once.
    """
    wanted = {calendar_id.strip() for calendar_id in calendar_ids}
    known = {row.calendar_id: row for row in Course.objects.filter(calendar_id__in=wanted)}
    if missing := sorted(wanted - known.keys()):
        Course.objects.bulk_create(
            [Course(calendar_id=calendar_id) for calendar_id in missing], ignore_conflicts=True
        )
        made = list(Course.objects.filter(calendar_id__in=missing))
        AttendancePolicy.objects.bulk_create(
            [AttendancePolicy(course=course) for course in made], ignore_conflicts=True
        )
        known |= {row.calendar_id: row for row in made}
    return known


@transaction.atomic
def upsert_course(
    *, calendar_id: str, title: str = "", time_zone: str = "", now: datetime
) -> Course:
    """Make the course of this calendar, with the default policy, or give it its title and zone.

    An empty title or zone (an IANA name) keeps the one it has. The same call again changes
    nothing; `now` is taken for the sake of callers that treat all upserts alike.
    """
    course = upsert_courses(calendar_ids=[calendar_id])[calendar_id.strip()]
    given = {"title": title.strip(), "time_zone": time_zone.strip()}
    changed = {
        name: text for name, text in given.items() if text not in {"", getattr(course, name)}
    }
    for name, text in changed.items():
        setattr(course, name, text)
    if changed:
        course.save(update_fields=list(changed))
    return course
