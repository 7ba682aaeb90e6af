"""Who is enrolled in what: rows that come from an import."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from attendance.domain.identity import email_key
from attendance.domain.kinds import SURE_IDENTITIES, IdentityKind, IdentityStatus
from attendance.models import AttendancePolicy, Course, Enrolment, Learner, LearnerIdentity


class BadEmailError(ValueError):
    """The text is not one whole e-mail address; nothing was written."""


@transaction.atomic
def upsert_learner(*, email: str, name: str, calendar_ids: Iterable[str], now: datetime) -> Learner:
    """Make or update the learner with this address and enrol them in these calendars.

    The address counts as verified: whoever imports vouches for it. Enrolments are added, never
    ended, and hold from the first class on, since an import does not know when they began.
    Raises BadEmailError. The same call again changes nothing.
    """
    key = email_key(email)
    if not key:
        raise BadEmailError(f"{email!r} is not an e-mail address; nothing was written for it.")
    learner, _ = Learner.objects.update_or_create(
        email_key=key,
        defaults={"email": email.strip(), "name": name.strip()},
        create_defaults={
            "email": email.strip(),
            "name": name.strip(),
            "created_at": now,
        },
    )
    _verify(learner, key, now=now)
    for calendar_id in calendar_ids:
        course = upsert_course(calendar_id=calendar_id, now=now)
        Enrolment.objects.get_or_create(learner=learner, course=course, ends_at=None)
    return learner


def _verify(learner: Learner, key: str, *, now: datetime) -> None:
    """Note the address as this learner's, unless staff have given it to somebody else."""
    taken = LearnerIdentity.objects.filter(
        kind=IdentityKind.EMAIL, value_key=key, status__in=sorted(SURE_IDENTITIES)
    )
    if not taken.exists():
        LearnerIdentity.objects.get_or_create(
            learner=learner,
            kind=IdentityKind.EMAIL,
            value_key=key,
            defaults={
                "status": IdentityStatus.VERIFIED,
                "origin": "import",
                "created_at": now,
            },
        )


@transaction.atomic
def upsert_course(*, calendar_id: str, title: str = "", now: datetime) -> Course:
    """Make the course of this calendar, with the default policy, or give it its title.

    An empty title keeps the one it has. The same call again changes nothing; `now` is taken
    for the sake of callers that treat all upserts alike.
    """
    course, created = Course.objects.get_or_create(
        calendar_id=calendar_id.strip(), defaults={"title": title.strip()}
    )
    if created:
        AttendancePolicy.objects.create(course=course)
    elif title.strip() and course.title != title.strip():
        course.title = title.strip()
        course.save(update_fields=["title"])
    return course
