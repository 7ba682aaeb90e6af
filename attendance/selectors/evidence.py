"""Everything that is known about one class, read in a constant number of statements."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.db.models import Q, Value

from attendance.domain import hints
from attendance.domain.hints import Expected, Guest, Hint
from attendance.domain.identity import email_key, name_key
from attendance.domain.intervals import Interval
from attendance.domain.kinds import (
    EndpointKind,
    Flag,
    ReviewKind,
    ReviewState,
    RunState,
    SessionStatus,
    Source,
)
from attendance.domain.presence import Policy, Window, effective_window, judge
from attendance.domain.settlement import (
    CALL_AT_MOST,
    ClassEvidence,
    Conclusion,
    LearnerEvidence,
    Reading,
    call_lasts_until,
    conclude,
    log_is_complete,
    settling_starts,
    too_few,
    waits_for,
)
from attendance.models import (
    AttendancePolicy,
    ClassSession,
    Conference,
    Endpoint,
    ReviewItem,
    SyncRun,
)
from attendance.selectors.roster import Roster, read_roster

_PEOPLE = frozenset(
    {EndpointKind.HUMAN, EndpointKind.STAFF, EndpointKind.PHONE, EndpointKind.VISITOR}
)
_REPORT = "a report"  # where for others the host of their call stands
_NAMELESS = frozenset({EndpointKind.HUMAN, EndpointKind.PHONE})
_ASKED_ABOUT = frozenset({EndpointKind.HUMAN, EndpointKind.PHONE, EndpointKind.ROOM})


class Device(NamedTuple):
    """One device in a call of the class: whose it is, what it shows, how long it stayed."""

    pk: int
    kind: str
    learner_id: int | None
    mark: str
    identifier: str
    display_name: str
    device_type: str
    identity_level: int
    identity_rule: str
    started_at: datetime
    ended_at: datetime


@dataclass(frozen=True)
class Evidence:
    """What is known of one class and of everybody who is expected in it."""

    session: ClassSession
    policy_row: AttendancePolicy  # unsaved where the course has none: the usual one
    policy: Policy
    window: Window
    known: ClassEvidence
    expected: Mapping[int, Expected]
    identified: frozenset[int]
    declined: frozenset[int]
    stays: Mapping[int, Sequence[Interval]]  # learner id → stays on all devices
    guests: Sequence[tuple[Guest, Hint]]
    by_name: frozenset[int] = frozenset()  # counted on a guest's word
    noted_later: frozenset[int] = frozenset()  # than it began
    in_question: frozenset[int] = frozenset()  # in a call that is no class, or in a report
    devices: Sequence[Device] = ()  # all of them, by their start
    runs: Sequence[SyncRun] = ()  # readings of the log that speak of it, and the newest of all

    def conclusion(self, *, learner_id: int, now: datetime) -> tuple[LearnerEvidence, Conclusion]:
        """Judge one learner and put the verdict through the gate."""
        who = self.expected.get(learner_id)
        verdict = judge(
            stays=self.stays.get(learner_id, ()), window=self.window, policy=self.policy
        )
        if learner_id in self.by_name:
            verdict = replace(verdict, flags=(*verdict.flags, Flag.BY_NAME))
        learner = LearnerEvidence(
            enrolled=who is not None,
            identified=learner_id in self.identified,
            held_by_guest=who is not None
            and (
                learner_id in self.in_question
                or any(found.could_be(who, guest) for guest, found in self.guests)
            ),
            verdict=verdict,
            declined=learner_id in self.declined,
            noted_later=learner_id in self.noted_later,
        )
        return learner, conclude(learner=learner, session=self.known, policy=self.policy, now=now)


def evidence(*, session: ClassSession) -> Evidence:
    """Gather what is known of a class: policy, endpoints, the expected, readings of the log."""
    devices = _devices(session)
    people, stays, unknown = _seen(session, devices)
    settles_from = settling_starts(ends_at=session.ends_at, stays=people)
    runs = _runs(session.starts_at, settles_from)
    row, policy = _policy(session, runs)
    lasts = max(_call_lasts_until(session) - settles_from, timedelta())
    policy = replace(policy, settle_missed=policy.settle_missed + lasts)
    roster = read_roster(session=session, seen=stays)
    guests = _hints(unknown, roster.expected)
    by_name = _trust_names(guests, unknown, stays) if policy.names_prove_presence else frozenset()
    return Evidence(
        session=session,
        policy_row=row,
        policy=policy,
        window=effective_window(
            starts_at=session.starts_at, ends_at=session.ends_at, people=people
        ),
        known=ClassEvidence(
            confirmed=session.status != SessionStatus.CANCELLED,
            settles_from=settles_from,
            anyone_seen=bool(people),
            few_seen=bool(people) and not session.few_is_right and _is_too_few(roster, stays),
            online=session.has_link or bool(devices) or session.matches.exists(),
            **_read_so_far(session, runs, policy, settles_from),
        ),
        expected=roster.expected,
        identified=roster.identified,
        declined=roster.declined if policy.declined_is_excused else frozenset(),
        noted_later=roster.noted_later,
        stays=stays,
        guests=guests,
        by_name=by_name,
        in_question=_in_question(session, roster.expected),
        devices=devices,
        runs=runs,
    )


def _read_so_far(
    session: ClassSession, runs: Sequence[SyncRun], policy: Policy, settles_from: datetime
) -> dict[str, bool]:
    """What the readings of the log allow to be said of a class."""
    read_past = partial(
        log_is_complete,
        readings=_complete(runs),
        starts_at=session.starts_at,
        settles_from=settles_from,
    )
    return {
        "log_complete": read_past(lag=policy.settle_missed),
        "presence_complete": read_past(lag=policy.settle_positive),
        "google_answers": not runs or runs[-1].failure not in _DARK,
    }


def _in_question(session: ClassSession, expected: Iterable[int]) -> frozenset[int]:
    """Who was meanwhile in a call of the class's host, or on its link, that belongs to no class.

    The link of a class may be replaced while some are in it by the old one, and staff may still
    be asked about a call on it: whoever showed no whole address there could be anyone. What they
    decided about a call stands. So it is with those of whom a report of Google's says that they
    were there, until staff have said.
    """
    link = session.meeting_code
    stray = Endpoint.objects.filter(
        started_at__lt=session.ends_at,
        ended_at__gt=session.starts_at,
        conference__decided_by="",
        conference__matches=None,
    ).values_list("learner_id", "conference__organizer_email", "conference__meeting_code")
    nobodys = stray.filter(learner=None, kind__in=_NAMELESS, identifier_key="")
    reported = ReviewItem.objects.filter(
        kind=ReviewKind.REPORT, state=ReviewState.OPEN, session=session, learner__isnull=False
    ).values_list("learner_id", Value(_REPORT), Value(""))
    # Three statements made one: with an OR it would read every endpoint there is.
    rows = stray.filter(learner__in=list(expected)).union(
        nobodys.filter(conference__meeting_code=link).exclude(conference__meeting_code=""), reported
    )
    hosts = _hosts(session) if rows else set()
    found = {
        pk
        for pk, host, code in rows
        if host == _REPORT or email_key(host) in hosts or (link and code == link)
    }
    return frozenset(expected if None in found else (pk for pk in found if pk is not None))


def _hosts(session: ClassSession) -> set[str]:
    """Whose calls may be the class's: the organiser's, and whoever opened those that are.

    The organiser of an event on a shared calendar is that calendar.
    """
    calls = Conference.objects.filter(matches__session=session)
    opened = calls.values_list("organizer_email", flat=True)
    return {email_key(host) for host in (session.organizer_email, *opened)} - {""}


def _is_too_few(roster: Roster, stays: Mapping[int, Sequence[Interval]]) -> bool:
    expected = roster.expected
    return too_few(expected=len(expected), seen=sum(pk in stays for pk in expected))


# Failures after which nothing may be concluded from what is missing, whatever was read before.
_DARK = frozenset({"config", "circuit_open"})


def _devices(session: ClassSession) -> list[Device]:
    rows = Endpoint.objects.filter(conference__matches__session=session)
    return [Device(*row) for row in rows.order_by("started_at", "pk").values_list(*Device._fields)]


@dataclass(frozen=True)
class _Unknown:
    guest: Guest
    stay: Interval


def _seen(
    session: ClassSession, devices: Sequence[Device]
) -> tuple[list[Interval], dict[int, list[Interval]], list[_Unknown]]:
    """Who was in the calls of a class: everybody's stays, each learner's, and the unresolved."""
    people: list[Interval] = []
    stays: dict[int, list[Interval]] = defaultdict(list)
    unknown: list[_Unknown] = []
    for seen in devices:
        stay = (seen.started_at, seen.ended_at)
        inside = seen.started_at < session.ends_at and seen.ended_at > session.starts_at
        if seen.kind in _PEOPLE:
            people.append(stay)
        if seen.learner_id is not None:
            stays[seen.learner_id].append(stay)
        elif seen.kind in _ASKED_ABOUT and inside:
            room = seen.kind == EndpointKind.ROOM
            guest = Guest(seen.pk, seen.mark, seen.identifier, seen.display_name, is_room=room)
            unknown.append(_Unknown(guest, stay))
    return people, stays, unknown


def _hints(
    unknown: Sequence[_Unknown], expected: Mapping[int, Expected]
) -> list[tuple[Guest, Hint]]:
    roster = list(expected.values())
    names = Counter(name_key(found.guest.display_name) for found in unknown)
    return [
        (
            found.guest,
            hints.hint(
                guest=found.guest,
                roster=roster,
                same_name=names[name_key(found.guest.display_name)],
            ),
        )
        for found in unknown
    ]


def _trust_names(
    guests: Sequence[tuple[Guest, Hint]],
    unknown: Sequence[_Unknown],
    stays: dict[int, list[Interval]],
) -> frozenset[int]:
    """Count guests of whom name and all else agree as the learners they seem to be."""
    counted = set()
    for (_, found), seen in zip(guests, unknown, strict=True):
        if found.level == hints.STRONG and found.learners:
            (learner,) = found.learners
            stays[learner].append(seen.stay)
            counted.add(learner)
    return frozenset(counted)


def _policy(session: ClassSession, runs: Sequence[SyncRun]) -> tuple[AttendancePolicy, Policy]:
    """The version that held when the class began, with the wait that Google's lag asks for."""
    rows = AttendancePolicy.objects.filter(
        Q(valid_from=None) | Q(valid_from__lte=session.starts_at), course=session.course_id
    )
    row = rows.order_by("-version").first() or AttendancePolicy(course_id=session.course_id)
    policy = Policy(
        min_presence=timedelta(seconds=row.min_presence_seconds),
        late_grace=timedelta(seconds=row.late_grace_seconds),
        early_grace=timedelta(seconds=row.early_grace_seconds),
        partial_below=row.partial_below,
        settle_positive=timedelta(seconds=row.settle_positive_seconds),
        settle_missed=timedelta(seconds=row.settle_missed_seconds),
        declined_is_excused=row.declined_is_excused,
        names_prove_presence=row.names_prove_presence,
    )
    # Only a complete reading measures; one that failed makes Google no faster.
    measured = [run.lag_p99_seconds for run in runs if run.state == RunState.COMPLETE]
    lag = measured[-1] if measured else None
    waits = waits_for(policy=policy, lag_p99=None if lag is None else timedelta(seconds=lag))
    return row, replace(policy, settle_missed=waits)


def _call_lasts_until(session: ClassSession) -> datetime:
    """Who stays for the next class on the same link is seen only when they leave that."""
    if not session.meeting_code:
        return session.ends_at
    following = ClassSession.objects.confirmed().filter(
        course=session.course_id,
        meeting_code=session.meeting_code,
        starts_at__gte=session.ends_at,
        starts_at__lt=session.ends_at + CALL_AT_MOST,
    )
    periods = following.order_by("starts_at").values_list("starts_at", "ends_at")
    return call_lasts_until(ends_at=session.ends_at, following=list(periods))


def _runs(starts_at: datetime, settles_from: datetime) -> list[SyncRun]:
    """Complete readings that touch the class, the one that went furthest, and the newest, last."""
    meet = SyncRun.objects.filter(source=Source.MEET)
    complete = meet.filter(state=RunState.COMPLETE)
    touching = complete.filter(window_end_at__gt=starts_at, window_start_at__lt=settles_from)
    furthest = complete.order_by("-window_end_at")[:1]
    newest = meet.exclude(state=RunState.RUNNING).order_by("-id")[:1]
    return sorted(newest.union(touching, furthest), key=lambda run: run.pk)


def _complete(runs: Sequence[SyncRun]) -> list[Reading]:
    return [
        Reading(run.window_start_at, run.window_end_at, run.started_at)
        for run in runs
        if run.state == RunState.COMPLETE
    ]
