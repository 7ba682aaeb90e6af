"""Who is who: what staff confirm and reject about people in calls, and what learners say.

Every decision is remembered as a row, so each person is asked about once. Endpoints follow at
once; the classes they were in become due for the settler.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q

from attendance.domain.identity import email_key, identity_mark, phone_key
from attendance.domain.kinds import (
    COURSE_IDENTITIES,
    SURE_IDENTITIES,
    EndpointKind,
    IdentityKind,
    IdentityStatus,
    ReviewKind,
)
from attendance.models import (
    ClassSession,
    Course,
    Endpoint,
    Learner,
    LearnerIdentity,
    Outsider,
    ReviewItem,
)
from attendance.services.matching import link_known, make_due, unlink
from attendance.services.questions import ask

# How an endpoint's mark is kept as an identity.
_KIND_OF_MARK = {
    "email": IdentityKind.ALIAS,
    "phone": IdentityKind.PHONE,
    "masked_email": IdentityKind.MASKED_EMAIL,
    "display_name": IdentityKind.DISPLAY_NAME,
}


class IdentityError(ValueError):
    """The identity cannot be given to this learner; nothing was written."""


def split_mark(mark: str, course: Course | None) -> tuple[IdentityKind, str, Course | None]:
    """Take a mark apart: kind, value, and the course in which it means somebody (or None).

    Raises IdentityError for a mark that cannot be a learner's, such as a room's.
    """
    prefix, _, value = mark.partition(":")
    kind = _KIND_OF_MARK.get(prefix)
    if kind is None or not value:
        raise IdentityError("This is a device or has no name; it cannot be a learner's identity.")
    if kind not in COURSE_IDENTITIES:
        return kind, value, None
    if course is None:
        raise IdentityError("A name or a masked address means somebody in one course; name it.")
    return kind, value, course


@transaction.atomic
def confirm_identity(
    *,
    learner: Learner,
    kind: IdentityKind,
    value: str,
    course: Course | None,
    by: str,
    now: datetime,
    origin: str = "staff",
) -> LearnerIdentity:
    """Say for sure that a mark is this learner's; `value` in its normal form.

    Endpoints that show it are linked at once. Raises IdentityError where another learner surely
    has it. Safe to run twice.
    """
    wanted = LearnerIdentity(
        learner=learner,
        kind=kind.value,
        value_key=value,
        status=IdentityStatus.STAFF_CONFIRMED.value,
        course=course,
        origin=origin,
        created_by=by,
        created_at=now,
    )
    rows = LearnerIdentity.objects.select_for_update(of=("self",)).filter(mark=mark_of(wanted))
    others = [row for row in rows if row.learner_id != learner.pk]
    if any(row.status in SURE_IDENTITIES for row in others):
        raise IdentityError(
            "Another learner surely has this identity. Nothing was changed; look at that learner "
            "first, and reject it there if it is wrong."
        )
    own = next((row for row in rows if row.learner_id == learner.pk), None)
    if own is None:
        wanted.save()
        own = wanted
    elif own.status not in SURE_IDENTITIES:
        own.status, own.origin, own.created_by = wanted.status, origin, by
        own.save(update_fields=["status", "origin", "created_by"])
    link_known(now=now)
    return own


@transaction.atomic
def reject_identity(
    *,
    learner: Learner,
    kind: IdentityKind,
    value: str,
    course: Course | None,
    by: str,
    now: datetime,
) -> LearnerIdentity:
    """Say that a mark is not this learner's; endpoints that were theirs by it are so no more.

    Safe to run twice.
    """
    row = LearnerIdentity(
        learner=learner,
        kind=kind.value,
        value_key=value,
        status=IdentityStatus.REJECTED.value,
        course=course,
        origin="staff",
        created_by=by,
        created_at=now,
    )
    known = LearnerIdentity.objects.filter(learner=learner, mark=mark_of(row)).first()
    if known is None:
        row.save()
        return row
    known.status, known.created_by = row.status, by
    known.save(update_fields=["status", "created_by"])
    forget_links(identity=known, now=now)
    return known


def forget_links(*, identity: LearnerIdentity, now: datetime) -> None:
    """Take from a learner the endpoints that were theirs by this identity. Safe to run twice."""
    kind, value = IdentityKind(identity.kind), identity.value_key
    shown = (
        Q(google_user_id=value)
        if kind == IdentityKind.GOOGLE_USER_ID
        else Q(mark=identity_mark(kind=kind, value=value))
    )
    if identity.course_id is not None:
        shown &= Q(conference__matches__session__course=identity.course_id)
    unlink(shown & Q(learner=identity.learner_id), now=now)


@transaction.atomic
def settle_outsider(
    *, mark: str, course: Course | None, kind: EndpointKind, by: str, now: datetime
) -> Outsider:
    """Say that whoever shows this mark is no learner. The last word counts; safe to run twice."""
    everywhere = mark.startswith(("email:", "phone:", "device:"))
    row, _ = Outsider.objects.update_or_create(
        mark=mark,
        course=None if everywhere else course,
        defaults={"kind": kind.value, "created_by": by},
        create_defaults={"kind": kind.value, "created_by": by, "created_at": now},
    )
    link_known(now=now)
    return row


@transaction.atomic
def forget_outsider(*, outsider: Outsider, now: datetime) -> None:
    """Take back that somebody is no learner: they are asked about again."""
    shown = Endpoint.objects.filter(mark=outsider.mark, kind=outsider.kind, learner=None)
    make_due(sessions_of_mark(mark=outsider.mark, course=outsider.course), now)
    shown.update(kind=EndpointKind.HUMAN.value)
    outsider.delete()
    link_known(now=now)  # of another course it may stand


@transaction.atomic
def suggest_address(
    *, learner: Learner, email: str, origin: str, now: datetime
) -> ReviewItem | None:
    """A learner names an address they use in Meet: remembered, and put to staff.

    None where it is theirs for sure already. Raises IdentityError where it is no whole address.
    Whether somebody else has it is told to staff only. Safe to run twice.
    """
    key = email_key(email)
    if not key:
        raise IdentityError("This is not one whole e-mail address.")
    mark = f"email:{key}"
    own = LearnerIdentity.objects.filter(learner=learner, mark=mark).first()
    if own is not None and own.status in SURE_IDENTITIES:
        return None
    if own is None:
        LearnerIdentity.objects.create(
            learner=learner,
            kind=IdentityKind.ALIAS.value,
            value_key=key,
            status=IdentityStatus.SUGGESTED.value,
            origin=origin,
            created_at=now,
        )
    question = f"{ReviewKind.ADDRESS}:{learner.pk}:{mark}"
    item = ReviewItem(
        kind=ReviewKind.ADDRESS.value,
        key=question,
        mark=mark,
        learner=learner,
        evidence={
            "address": key,
            "origin": origin,
            "seen": Endpoint.objects.filter(mark=mark).count(),
            "taken": LearnerIdentity.objects.filter(mark=mark, status__in=SURE_IDENTITIES)
            .exclude(learner=learner)
            .exists(),
        },
        created_at=now,
    )
    ask([item])
    make_due(sessions_of_mark(mark=mark, course=None), now)
    return ReviewItem.objects.filter(key=question).latest("id")


def normal_value(*, kind: IdentityKind, raw: str) -> str:
    """Bring what was typed for an identity into its normal form; raises IdentityError."""
    value = raw.strip()
    if kind in {IdentityKind.EMAIL, IdentityKind.ALIAS}:
        value = email_key(raw)
    elif kind == IdentityKind.PHONE:
        value = phone_key(raw)
    if not value:
        raise IdentityError("This is not a whole address, or not a number such as +4930123456.")
    return value


def sessions_of_mark(*, mark: str, course: Course | None) -> list[int]:
    """The classes in whose calls this mark was shown; of one course if it is given."""
    rows = ClassSession.objects.filter(matches__conference__endpoints__mark=mark)
    if course is not None:
        rows = rows.filter(course=course)
    return sorted(set(rows.values_list("pk", flat=True)))


def mark_of(row: LearnerIdentity) -> str:
    """The mark that PostgreSQL generates; see models/learners.py."""
    if row.course_id is None:
        return identity_mark(kind=IdentityKind(row.kind), value=row.value_key)
    return f"{row.kind}:{row.course_id}:{row.value_key}"
