"""Whom a version could not speak to: variables without a value, counted beforehand (P21)."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from django.conf import settings
from django.db.models import Q

from attendance import selectors as attendance
from attendance.models import ClassSession, Enrolment
from nurture import context, texts
from nurture.domain.schedule import zone_of
from nurture.domain.sequence import SequenceSpec, Step, StepKind, WaitKind
from nurture.models import Contact, SequenceVersion
from nurture.services.versions import spec_of

#: What is known of every class that causes a journey, so nobody can miss it.
_KNOWN = {
    "course_title": "course", "session_title": "class", "session_date": "day",
    "session_time": "18:00", "minutes_present": 1, "streak": 1, "bot_username": "bot",
}  # fmt: skip


def who_would_miss(*, version: SequenceVersion, now: datetime) -> dict[str, int]:
    """For each variable, how many linked learners would not get a message for want of it.

    Each text is rendered for each learner of each course as it would be now. A message is never
    sent with a gap: it is passed over with the reason `variable_missing`.
    """
    spec = spec_of(version)
    messages = [step for step in spec.steps if step.enabled and step.kind is StepKind.MESSAGE]
    unfinished = Q(ends_at__isnull=True) | Q(ends_at__gt=now)
    enrolled = Enrolment.objects.filter(unfinished, course__active=True).select_related("course")
    by_learner: dict[int, list[Enrolment]] = defaultdict(list)
    for row in enrolled:
        by_learner[row.learner_id].append(row)
    ahead = attendance.next_sessions({row.course_id for row in enrolled}, after=now)
    missed: dict[str, set[int]] = defaultdict(set)
    linked = Contact.objects.filter(chat__isnull=False, learner__in=by_learner)
    for contact in linked.select_related("learner"):
        for row in by_learner[contact.learner_id]:
            if _is_asked_of(spec, row.course.calendar_id):
                for name in _gaps(contact, row, ahead.get(row.course_id), messages):
                    missed[name].add(contact.learner_id)
    return {name: len(learners) for name, learners in sorted(missed.items())}


def _is_asked_of(spec: SequenceSpec, calendar_id: str) -> bool:
    return any(trigger.course in {"any", calendar_id} for trigger in spec.triggers)


def _gaps(
    contact: Contact, row: Enrolment, following: ClassSession | None, messages: list[Step]
) -> set[str]:
    zone = zone_of(contact.time_zone, row.course.time_zone, settings.TIME_ZONE)
    values = _KNOWN | context.variables(
        learner=contact.learner, session=None, cause=None, next_session=following, zone=zone,
        language=contact.language,
    )  # fmt: skip
    gaps = set()
    for step in messages:
        if following is None and step.wait.kind is WaitKind.BEFORE_NEXT_SESSION:
            continue  # it would not be planned
        try:
            texts.render(step.text_for(contact.language), values)
        except texts.MissingVariable as missing:
            gaps.add(str(missing))
        except texts.TextError:
            continue  # refused at import; told there
    return gaps
