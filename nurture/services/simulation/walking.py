"""One learner through one version, from a chosen moment on: the production engine, step by step.

The learner is a real one as they are now, or somebody made up; what they answer is chosen. Other
sequences, earlier journeys, the switches, the rollout and the holdout are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings

from attendance.models import ClassSession, Course, Enrolment, Learner, ReviewItem
from attendance.selectors import next_session
from delivery.models import Consent
from nurture.domain.reasons import Reason
from nurture.domain.schedule import Quiet, zone_of
from nurture.domain.sequence import SequenceSpec
from nurture.domain.timing import Timing, timing
from nurture.models import Contact, Decision, SequenceVersion
from nurture.services.simulation.backtesting import NotSimulatedError, put_on_stage
from nurture.services.simulation.run import play
from nurture.services.simulation.scene import (
    Answer,
    Happenings,
    NextClass,
    Persona,
    bring,
    give_cause,
    make_up,
)
from nurture.services.simulation.shadow import shadowed
from nurture.services.versions import spec_of

#: A journey that is longer is shown as far as it went.
LONGEST = timedelta(days=90)
#: People and classes that may be made up.
_ALSO = (Learner, Course, ClassSession, Enrolment, Consent, ReviewItem)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that was decided, as it was at its simulated moment (UTC)."""

    at: datetime
    code: str
    step_key: str
    inputs: dict[str, Any]
    run: int  # which run; a later fact may start another
    text: str = ""
    buttons: list[list[str]] = field(default_factory=list)  # rows of words
    status: str = ""  # of the message, at the end
    reason: str = ""
    planned_for: datetime | None = None
    sent_at: datetime | None = None
    timing: Timing | None = None  # why it goes then; None where an event or its end decided


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What would happen. Nothing was written for it."""

    name: str
    zone: ZoneInfo
    course: str
    next_class: datetime | None  # as seen from the start
    lines: list[Line]

    @property
    def entered(self) -> bool:
        """Whether a run began at all; else the first line says why not."""
        return any(line.code == Reason.ENTERED for line in self.lines)


def walk(
    *,
    version: SequenceVersion,
    whom: Persona | Learner,
    start: datetime,
    answers: Iterable[Answer] = (),
    next_class: NextClass = NextClass.OPEN,
    trigger: int = 0,
) -> Walk:
    """Let a trigger of the version fire for one learner at `start`, and see what comes of it.

    `trigger`: its position, the first where there is none. `answers` happen at their moments;
    `next_class`: whether the learner comes to it. Writes nothing. Raises NotSimulatedError where
    nothing starts the version.
    """
    known = list(version.triggers.order_by("position"))
    cause = next((row for row in known if row.position == trigger), known[0] if known else None)
    if cause is None:
        raise NotSimulatedError("nothing starts this version: it has no trigger")
    with shadowed(*_ALSO) as shadow:
        put_on_stage(shadow, version)
        SequenceVersion.objects.update(holdout=0)
        if isinstance(whom, Learner):
            bring(shadow, whom, cause, start)
        shadow.ready()
        learner = whom if isinstance(whom, Learner) else make_up(whom, now=start)
        course = give_cause(learner, cause, start)
        happenings = Happenings(
            learner=learner, course=course, start=start, answers=answers, next_class=next_class
        )
        moments, following = happenings.moments(), happenings.following()
        play(since=start, until=start + LONGEST, moments=moments, happen=happenings.tell)
        contact = Contact.objects.filter(learner=learner).first()
        zone = zone_of(contact.time_zone if contact else "", course.time_zone, settings.TIME_ZONE)
        return Walk(
            name=learner.name or learner.email,
            zone=zone,
            course=course.title or course.calendar_id,
            next_class=following.starts_at if following else None,
            lines=_lines(spec_of(version), contact, course, zone),
        )


def _lines(
    spec: SequenceSpec, contact: Contact | None, course: Course, zone: ZoneInfo
) -> list[Line]:
    runs: dict[int | None, int] = {}
    lines: list[Line] = []
    waits_over: set[tuple[int | None, str]] = set()
    for row in Decision.objects.select_related("delivery").order_by("id"):
        owed, at = row.delivery, row.decided_at
        why = None
        if row.code == Reason.STEP_PLANNED and (row.journey_id, row.step_key) not in waits_over:
            why = _timing(spec, contact, course, zone, row)
        if row.code == Reason.WAITING:
            waits_over.add((row.journey_id, row.step_key))
        lines.append(
            Line(
                at=at,
                code=row.code,
                step_key=row.step_key,
                inputs=row.inputs,
                run=runs.setdefault(row.journey_id, len(runs) + 1),
                text=owed.text if owed else "",
                buttons=[[words for words, _ in line] for line in owed.buttons] if owed else [],
                status=owed.status if owed else "",
                reason=owed.reason if owed else "",
                planned_for=owed.due_at if owed else None,
                sent_at=owed.sent_at if owed else None,
                timing=why,
            )
        )
    return lines


def _timing(
    spec: SequenceSpec, contact: Contact | None, course: Course, zone: ZoneInfo, row: Decision
) -> Timing | None:
    """Why a message goes when it does; None where it is not told by its wait alone."""
    step = next((step for step in spec.steps if step.key == row.step_key), None)
    if step is None or contact is None or row.delivery is None:
        return None
    quiet: Quiet | None = None
    if contact.quiet_opens is not None and contact.quiet_closes is not None:
        quiet = (contact.quiet_opens, contact.quiet_closes)
    ahead = next_session(course_id=course.pk, after=row.decided_at)
    found = timing(
        step.wait, anchor=row.decided_at, zone=zone, window=spec.window, quiet=quiet,
        next_session=ahead.starts_at if ahead else None,
        now=row.decided_at,
    )  # fmt: skip
    return found if found is not None and found.goes == row.delivery.due_at else None
