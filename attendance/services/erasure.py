"""Take everything personal out of the rows of one learner; the rows stay, so that totals do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Func, Q, TextField, Value
from django.db.models.functions import Cast, Concat

from attendance.domain.identity import email_key, identity_mark, name_key
from attendance.domain.kinds import (
    SURE_IDENTITIES,
    EndpointKind,
    IdentityKind,
    IdentityStatus,
    ReviewState,
)
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Conference,
    Endpoint,
    Enrolment,
    Learner,
    LearnerIdentity,
    Outcome,
    Outsider,
    ReviewItem,
)
from attendance.services.erased import remember
from attendance.services.questions import ERASED, GONE

_RECOGNISED = frozenset(
    {IdentityKind.EMAIL, IdentityKind.ALIAS, IdentityKind.PHONE, IdentityKind.GOOGLE_USER_ID}
)
# Records of one device, or of one address: what Google said is cut down to that somebody was there.
_CUT_RECORDS = """
UPDATE attendance_activity
   SET payload = jsonb_set(payload, '{parameters}', (payload->'parameters')
       - '{identifier,display_name,endpoint_id,organizer_email}'::text[])
 WHERE id = ANY(%(ids)s) OR payload->'parameters'->>'endpoint_id' = ANY(%(devices)s)
    OR lower(payload->'parameters'->>'identifier') = ANY(%(spellings)s)
"""
_CUT_ORGANIZERS = """
UPDATE attendance_activity
   SET payload = jsonb_set(payload, '{parameters}', (payload->'parameters') - 'organizer_email')
 WHERE lower(payload->'parameters'->>'organizer_email') = ANY(%(spellings)s)
"""


@dataclass(frozen=True)
class _Person:
    """By what somebody is found in rows that are not theirs by key."""

    addresses: frozenset[str]  # normal forms
    marks: frozenset[str]  # as endpoints and review items show them
    accounts: frozenset[str]
    names: frozenset[str]  # marks that mean them only in their own courses
    remembered: frozenset[str]  # what is recognised when it comes again


@transaction.atomic
def erase_learner(*, learner: Learner, now: datetime) -> dict[str, int]:
    """Erase what attendance knows of a learner; return how many rows of each kind were scrubbed.

    Outcomes, pledges and facts stay under a key that names nobody, and are never judged anew;
    enrolments end. Addresses are remembered as keyed hashes, so that neither an import nor
    Google's log brings the person back. Safe to run twice: the second time nothing is left.
    """
    row = Learner.objects.select_for_update(no_key=True).get(pk=learner.pk)
    if row.erased_at is not None:
        return {}
    person = _person(row)
    remember(marks=person.remembered, now=now)
    done = _records(row, person)
    done["reviews"] = _reviews(row, person, now)
    done["classes"] = _classes(person)
    done["outcomes"] = Outcome.objects.filter(learner=row).update(inputs={}, note="")
    done["outsiders"] = Outsider.objects.filter(mark__in=person.marks).delete()[0]
    theirs = Q(learner=row) | Q(kind__in=_RECOGNISED, mark__in=person.marks)
    done["identities"] = LearnerIdentity.objects.filter(theirs).delete()[0]
    done["enrolments"] = _end_enrolments(row, now)
    AttendanceEvent.objects.filter(learner=row, processed_at=None).update(processed_at=now)
    nobody = f"erased-{row.pk}"
    row.email = row.email_key = nobody
    row.name, row.erased_at = "", now
    row.save(update_fields=["email", "email_key", "name", "name_words", "erased_at"])
    return {**done, "learners": 1}


def _person(learner: Learner) -> _Person:
    addresses, accounts = {learner.email_key}, set()
    marks, names, sure = {f"email:{learner.email_key}"}, set(), {f"email:{learner.email_key}"}
    rows = learner.identities.exclude(status=IdentityStatus.REJECTED)
    for kind, value, status in rows.values_list("kind", "value_key", "status"):
        mark = identity_mark(kind=IdentityKind(kind), value=value)
        if status in SURE_IDENTITIES and kind in _RECOGNISED:
            sure.add(mark)
        if kind == IdentityKind.GOOGLE_USER_ID:
            accounts.add(value)
        elif kind in _RECOGNISED:
            marks.add(mark)
            addresses.add(value)
        else:
            names.add(mark)
    if name := name_key(learner.name):
        names.add(f"display_name:{name[:200]}")
    return _Person(
        frozenset(addresses), frozenset(marks), frozenset(accounts), frozenset(names),
        frozenset(sure),
    )  # fmt: skip


def _records(learner: Learner, person: _Person) -> dict[str, int]:
    """The stays of their devices, linked or shown under their marks, and what Google said."""
    courses = list(learner.enrolments.values_list("course_id", flat=True))
    named = Q(mark__in=person.names, conference__matches__session__course__in=courses)
    shown = Q(mark__in=person.marks) | Q(identifier_key__in=person.addresses) | named
    shown |= Q(google_user_id__in=person.accounts)
    theirs = Q(learner=learner) | (Q(learner=None) & shown)
    found = list(
        Endpoint.objects.filter(theirs).values_list(
            "pk", "activity_id", "endpoint_id", "identifier"
        )
    )
    spellings = {text.lower() for *_, text in found if text}
    spellings |= {learner.email.lower(), *person.addresses}
    values: dict[str, Any] = {
        "ids": [pk for _, pk, _, _ in found if pk],
        "devices": [device for _, _, device, _ in found],
        "spellings": sorted(spellings),
    }
    with connection.cursor() as cursor:
        cursor.execute(_CUT_RECORDS, values)
        cut = cursor.rowcount
        cursor.execute(_CUT_ORGANIZERS, values)
    rows = Endpoint.objects.filter(pk__in={pk for pk, *_ in found})
    rows.filter(learner=None).update(kind=EndpointKind.VISITOR.value)  # nobody to ask about
    # A device that Google did not name was named by its address.
    rows.filter(endpoint_id__startswith="unnamed:").update(
        endpoint_id=Concat(Value("erased:"), Cast("pk", TextField()))
    )
    rows.update(
        identifier="", identifier_key="", identifier_type="", display_name="", google_user_id="",
        mark="",
    )  # fmt: skip
    return {"endpoints": rows.count(), "records": cut}


def _reviews(learner: Learner, person: _Person, now: datetime) -> int:
    """Questions about them are over; what was asked and shown is gone."""
    courses = learner.enrolments.values("course_id")
    marks = Q(mark__in=person.marks) | Q(mark__in=person.names, course__in=courses)
    rows = ReviewItem.objects.filter(Q(learner=learner) | Q(endpoint__learner=learner) | marks)
    keys = list(rows.values_list("pk", flat=True))
    rows = ReviewItem.objects.filter(pk__in=keys)
    rows.filter(state=ReviewState.OPEN).update(
        state=ReviewState.DECIDED.value,
        decision=ERASED,
        decided_by="telbot",
        decided_at=now,
    )
    rows.update(key=Concat(Value(GONE), Cast("pk", TextField())), mark="", evidence={})
    return len(keys)


def _classes(person: _Person) -> int:
    """Their addresses as organizers, and among those who declined."""
    done = 0
    for model in (ClassSession, Conference):
        said = model.objects.exclude(organizer_email="").values_list("organizer_email", flat=True)
        theirs = [text for text in set(said) if email_key(text) in person.addresses]
        done += model.objects.filter(organizer_email__in=theirs).update(organizer_email="")
    for address in sorted(person.addresses):
        without = Func(
            F("declined"), Cast(Value(address), TextField()), template="(%(expressions)s)",
            arg_joiner=" - ",
        )  # fmt: skip
        rows = ClassSession.objects.filter(declined__contains=[address])
        done += rows.update(declined=without)
    return done


def _end_enrolments(learner: Learner, now: datetime) -> int:
    unfinished = Enrolment.objects.filter(learner=learner).filter(
        Q(ends_at=None) | Q(ends_at__gt=now)
    )
    ahead = unfinished.filter(starts_at__gte=now).delete()[0]
    return ahead + unfinished.update(ends_at=now)
