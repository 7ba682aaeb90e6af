"""Everything that is known about one class, read in a constant number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from attendance.domain.identity import is_full_email
from attendance.domain.intervals import Interval
from attendance.domain.kinds import (
    SURE_IDENTITIES,
    EndpointKind,
    IdentityKind,
    RunState,
    SessionStatus,
    Source,
)
from attendance.domain.presence import Policy, Window, effective_window, judge
from attendance.domain.settlement import (
    ClassEvidence,
    Conclusion,
    LearnerEvidence,
    Reading,
    conclude,
    could_be,
    log_is_complete,
    settling_starts,
)
from attendance.models import (
    AttendancePolicy,
    ClassSession,
    Endpoint,
    Enrolment,
    LearnerIdentity,
    SyncRun,
)

_PEOPLE = frozenset({EndpointKind.HUMAN, EndpointKind.STAFF, EndpointKind.PHONE})
_COULD_BE_LEARNERS = frozenset({EndpointKind.HUMAN, EndpointKind.PHONE})


@dataclass(frozen=True)
class Guest:
    """An endpoint in the class that belongs to nobody we know, and could be a learner's."""

    endpoint: int
    identifier: str


@dataclass(frozen=True)
class Evidence:
    """What is known of one class and of everybody who is expected in it."""

    session: ClassSession
    policy_row: AttendancePolicy
    policy: Policy
    window: Window
    known: ClassEvidence
    emails: Mapping[int, str]  # learner id → address, for those who are expected
    identified: frozenset[int]
    stays: Mapping[int, Sequence[Interval]]  # learner id → stays on all devices
    guests: Sequence[Guest]

    def conclusion(self, *, learner_id: int, now: datetime) -> tuple[LearnerEvidence, Conclusion]:
        """Judge one learner and put the verdict through the gate."""
        email = self.emails.get(learner_id, "")
        learner = LearnerEvidence(
            enrolled=learner_id in self.emails,
            identified=learner_id in self.identified,
            held_by_guest=any(
                could_be(identifier=guest.identifier, email=email) for guest in self.guests
            ),
            verdict=judge(
                stays=self.stays.get(learner_id, ()), window=self.window, policy=self.policy
            ),
        )
        return learner, conclude(learner=learner, session=self.known, policy=self.policy, now=now)


def evidence(*, session: ClassSession) -> Evidence:
    """Gather what is known of a class: policy, endpoints, the expected, readings of the log."""
    row = AttendancePolicy.objects.filter(course=session.course_id).latest("version")
    policy = _policy(row)
    people, stays, guests = _seen(session)
    window = effective_window(starts_at=session.starts_at, ends_at=session.ends_at, people=people)
    settles_from = settling_starts(ends_at=session.ends_at, stays=people)
    emails = _expected(session)
    return Evidence(
        session=session,
        policy_row=row,
        policy=policy,
        window=window,
        known=ClassEvidence(
            confirmed=session.status != SessionStatus.CANCELLED,
            settles_from=settles_from,
            log_complete=log_is_complete(
                readings=_readings(session.starts_at, settles_from),
                starts_at=session.starts_at,
                settles_from=settles_from,
                lag=policy.settle_missed,
            ),
            anyone_seen=bool(people),
        ),
        emails=emails,
        identified=_identified(emails),
        stays=stays,
        guests=guests,
    )


def _seen(
    session: ClassSession,
) -> tuple[list[Interval], dict[int, list[Interval]], list[Guest]]:
    """Who was in the calls of a class: everybody's stays, each learner's, and the unresolved."""
    endpoints: list[tuple[int, str, int | None, str, datetime, datetime]] = list(
        Endpoint.objects.filter(conference__matches__session=session).values_list(
            "pk", "kind", "learner_id", "identifier", "started_at", "ended_at"
        )
    )
    people: list[Interval] = []
    stays: dict[int, list[Interval]] = defaultdict(list)
    guests: list[Guest] = []
    for pk, kind, learner_id, identifier, started_at, ended_at in endpoints:
        inside = started_at < session.ends_at and ended_at > session.starts_at
        if kind in _PEOPLE:
            people.append((started_at, ended_at))
        if learner_id is not None:
            stays[learner_id].append((started_at, ended_at))
        elif kind in _COULD_BE_LEARNERS and inside and not is_full_email(identifier):
            guests.append(Guest(pk, identifier))
    return people, stays, guests


def _policy(row: AttendancePolicy) -> Policy:
    return Policy(
        min_presence=timedelta(seconds=row.min_presence_seconds),
        late_grace=timedelta(seconds=row.late_grace_seconds),
        early_grace=timedelta(seconds=row.early_grace_seconds),
        partial_below=row.partial_below,
        settle_positive=timedelta(seconds=row.settle_positive_seconds),
        settle_missed=timedelta(seconds=row.settle_missed_seconds),
    )


def _expected(session: ClassSession) -> dict[int, str]:
    """Return the learners who were enrolled when the class began."""
    begun = Q(starts_at__isnull=True) | Q(starts_at__lte=session.starts_at)
    open_then = Q(ends_at__isnull=True) | Q(ends_at__gt=session.starts_at)
    return dict(
        Enrolment.objects.filter(begun, open_then, course=session.course_id).values_list(
            "learner_id", "learner__email"
        )
    )


def _identified(emails: Mapping[int, str]) -> frozenset[int]:
    return frozenset(
        LearnerIdentity.objects.filter(
            learner_id__in=emails,
            kind__in=[IdentityKind.EMAIL, IdentityKind.ALIAS],
            status__in=SURE_IDENTITIES,
        ).values_list("learner_id", flat=True)
    )


def _readings(starts_at: datetime, settles_from: datetime) -> list[Reading]:
    """Return complete readings of the log that touch the class, and the one that went furthest."""
    complete = SyncRun.objects.filter(source=Source.MEET, state=RunState.COMPLETE)
    touching = complete.filter(window_end_at__gt=starts_at, window_start_at__lt=settles_from)
    furthest = complete.order_by("-window_end_at")[:1]
    return [
        Reading(*row)
        for rows in (touching, furthest)
        for row in rows.values_list("window_start_at", "window_end_at", "started_at")
    ]
