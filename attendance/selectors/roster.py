"""Who is expected in a class, by what they would be recognised, and who said no."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from attendance.domain.hints import Expected
from attendance.domain.identity import email_key, identity_mark, name_key
from attendance.domain.kinds import SURE_IDENTITIES, IdentityKind, IdentityStatus
from attendance.models import ClassSession, Enrolment, LearnerIdentity

_ADDRESSES = frozenset({IdentityKind.EMAIL, IdentityKind.ALIAS})
# By these somebody would have been recognised; a name alone would not have been enough.
_RECOGNISED_BY = frozenset(
    {IdentityKind.EMAIL, IdentityKind.ALIAS, IdentityKind.GOOGLE_USER_ID, IdentityKind.PHONE}
)


class Enrolled(NamedTuple):
    """Somebody of a course; `noted_at`: see the model."""

    email: str
    name: str
    noted_at: datetime | None


@dataclass(frozen=True)
class Roster:
    """The learners who were enrolled when a class began."""

    expected: Mapping[int, Expected]
    identified: frozenset[int]  # we could have seen them
    declined: frozenset[int]
    noted_later: frozenset[int] = frozenset()  # than the class began


def read_roster(*, session: ClassSession, seen: Container[int]) -> Roster:
    """Read the roster of a class; `seen` are learners on devices of their own in it."""
    enrolled = enrolled_in(session=session)
    refusals = set(session.declined)
    marks: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    others: dict[int, set[str]] = defaultdict(set)
    identified, declined = set(), set()
    identities = LearnerIdentity.objects.filter(
        Q(course=session.course_id) | Q(course=None), learner_id__in=enrolled
    ).values_list("learner_id", "kind", "value_key", "status")
    for pk, kind, value, status in identities:
        if kind in _ADDRESSES and status != IdentityStatus.REJECTED:
            others[pk].add(value)
        if status in SURE_IDENTITIES:
            identified |= {pk} if kind in _RECOGNISED_BY else set()
            declined |= {pk} if value in refusals else set()
        else:
            marks[status][pk].add(identity_mark(kind=IdentityKind(kind), value=value))
    declined |= {pk for pk, who in enrolled.items() if email_key(who.email) in refusals}
    expected = {
        pk: Expected(
            learner=pk,
            name=name_key(who.name),
            email=who.email,
            others=frozenset(others[pk]),
            seen=pk in seen,
            suggested=frozenset(marks[IdentityStatus.SUGGESTED][pk]),
            rejected=frozenset(marks[IdentityStatus.REJECTED][pk]),
        )
        for pk, who in enrolled.items()
    }
    begins = session.starts_at
    later = {pk for pk, who in enrolled.items() if who.noted_at and who.noted_at > begins}
    return Roster(expected, frozenset(identified), frozenset(declined), frozenset(later))


def enrolled_in(*, session: ClassSession) -> dict[int, Enrolled]:
    """Return who was enrolled when the class began, by learner id."""
    begun = Q(starts_at__isnull=True) | Q(starts_at__lte=session.starts_at)
    open_then = Q(ends_at__isnull=True) | Q(ends_at__gt=session.starts_at)
    rows = Enrolment.objects.filter(begun, open_then, course=session.course_id).values_list(
        "learner_id", "learner__email", "learner__name", "noted_at"
    )
    return {pk: Enrolled(email, name, noted) for pk, email, name, noted in rows}
