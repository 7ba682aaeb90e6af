"""Whose endpoint it was, and which class a call was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q

from attendance.domain.correlation import Call, Correlation, PlannedClass, correlate
from attendance.domain.kinds import MatchRule, ReviewKind, SessionStatus
from attendance.models import ClassSession, Conference, ConferenceMatch, Endpoint, ReviewItem
from attendance.services.questions import answer_itself, ask

BATCH = 500
_MARGIN = timedelta(days=1)
_CONFIDENCE = {
    MatchRule.EVENT_ID: 1.0,
    MatchRule.RECURRING_ID: 0.9,
    MatchRule.CODE: 0.8,
    MatchRule.CONTINUED: 0.7,
}

# Only what somebody vouched for links by itself. A linked learner who runs the call or has a
# suspicious name is still a learner.
_LINK = """
UPDATE attendance_endpoint AS endpoint
SET learner_id = identity.learner_id,
    identity_level = CASE identity.status WHEN 'verified' THEN 5 ELSE 4 END,
    identity_rule = identity.kind || ':' || identity.status,
    kind = CASE WHEN endpoint.kind IN ('staff', 'bot', 'visitor') THEN 'human'
                ELSE endpoint.kind END
FROM attendance_learneridentity AS identity {joined}
WHERE endpoint.learner_id IS NULL AND {on}
  AND identity.status IN ('verified', 'staff_confirmed')
RETURNING endpoint.conference_id
"""
_SETTLE = """
UPDATE attendance_endpoint AS endpoint SET kind = outsider.kind
FROM attendance_outsider AS outsider {joined}
WHERE endpoint.learner_id IS NULL AND endpoint.kind <> outsider.kind AND {on}
RETURNING endpoint.conference_id
"""
_IN_COURSE = """
JOIN attendance_classsession AS session ON session.course_id = {table}.course_id
JOIN attendance_conferencematch AS matched ON matched.session_id = session.id
"""
# What means the same everywhere: addresses, numbers, accounts.
_EVERYWHERE = [
    _LINK.format(joined="", on="endpoint.mark <> '' AND identity.mark = endpoint.mark"),
    _LINK.format(
        joined="",
        on="endpoint.google_user_id <> '' AND identity.kind = 'google_user_id'"
        " AND identity.value_key = endpoint.google_user_id",
    ),
    _SETTLE.format(
        joined="",
        on="endpoint.mark <> '' AND outsider.course_id IS NULL AND outsider.mark = endpoint.mark",
    ),
]
# What means somebody in one course only: names and masked addresses.
_IN_ONE_COURSE = [
    _LINK.format(
        joined=_IN_COURSE.format(table="identity"),
        on="matched.conference_id = endpoint.conference_id AND endpoint.mark <> ''"
        " AND identity.kind || ':' || identity.value_key = endpoint.mark",
    ),
    _SETTLE.format(
        joined=_IN_COURSE.format(table="outsider"),
        on="matched.conference_id = endpoint.conference_id AND endpoint.mark <> ''"
        " AND outsider.mark = endpoint.mark",
    ),
]


def match(*, now: datetime) -> int:
    """Link endpoints to learners and changed calls to classes; return how many calls were seen.

    Classes whose records changed become due for the settler. Safe to repeat and to run twice at
    once: each worker takes calls that the other does not hold.
    """
    _link(_EVERYWHERE, now)
    seen = 0
    while batch := _match_batch(now):
        seen += batch
    _link(_IN_ONE_COURSE, now)
    return seen


def link_known(*, now: datetime) -> None:
    """Let endpoints follow what is known of people; their classes become due. Runs in match, too.

    Safe to repeat.
    """
    _link([*_EVERYWHERE, *_IN_ONE_COURSE], now)


@transaction.atomic
def _link(statements: Iterable[str], now: datetime) -> None:
    """Run these, and make the classes due whose people are known better now."""
    calls: set[int] = set()
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
            calls.update(row[0] for row in cursor.fetchall())
    if calls:
        matches = ConferenceMatch.objects.filter(conference_id__in=calls)
        make_due(matches.values_list("session_id", flat=True), now)


def unlink(which: Q, *, now: datetime) -> None:
    """Take these endpoints from their learners; their classes become due. Safe to run twice."""
    found = dict(Endpoint.objects.filter(which).values_list("pk", "conference_id"))
    Endpoint.objects.filter(pk__in=found).update(learner=None, identity_level=0, identity_rule="")
    matches = ConferenceMatch.objects.filter(conference_id__in=set(found.values()))
    make_due(matches.values_list("session_id", flat=True), now)


@transaction.atomic
def _match_batch(now: datetime) -> int:
    conferences = list(
        Conference.objects.select_for_update(skip_locked=True, no_key=True)
        .filter(dirty_at__isnull=False)
        .order_by("dirty_at", "pk")[:BATCH]
    )
    # Where staff said which class a call was, only its classes are looked at again.
    decided = [conference.pk for conference in conferences if conference.decided_by]
    found = _correlate(_calls([row for row in conferences if not row.decided_by]))
    touched = _store(found)
    touched |= set(
        ConferenceMatch.objects.filter(conference_id__in=decided).values_list(
            "session_id", flat=True
        )
    )
    _ask(found, now)
    make_due(touched, now)
    Conference.objects.filter(pk__in=[conference.pk for conference in conferences]).update(
        dirty_at=None
    )
    return len(conferences)


def _calls(conferences: Iterable[Conference]) -> list[Call]:
    by_pk = {conference.pk: conference for conference in conferences}
    spans: dict[int, list[tuple[datetime, datetime]]] = defaultdict(list)
    ids: dict[int, set[str]] = defaultdict(set)
    rows = Endpoint.objects.filter(conference_id__in=by_pk).values_list(
        "conference_id", "started_at", "ended_at", "calendar_event_id"
    )
    for pk, started_at, ended_at, event_id in rows:
        spans[pk].append((started_at, ended_at))
        ids[pk].add(event_id)
    return [
        Call(
            pk=pk,
            meeting_code=by_pk[pk].meeting_code,
            organizer=by_pk[pk].organizer_email,
            event_ids=frozenset(ids[pk] - {""}),
            starts_at=min(start for start, _ in stays),
            ends_at=max(end for _, end in stays),
        )
        for pk, stays in spans.items()
    ]


def _correlate(calls: list[Call]) -> dict[int, Correlation]:
    if not calls:
        return {}
    ids = set().union(*(call.event_ids for call in calls))
    codes = {call.meeting_code for call in calls} - {""}
    nearby = Q(
        starts_at__lt=max(call.ends_at for call in calls) + _MARGIN,
        ends_at__gt=min(call.starts_at for call in calls) - _MARGIN,
    )
    rows = ClassSession.objects.filter(
        Q(event_id__in=ids) | (nearby & (Q(meeting_code__in=codes) | Q(recurring_event_id__in=ids)))
    )
    by_mark: dict[str, dict[int, PlannedClass]] = defaultdict(dict)
    for row in rows:
        planned = PlannedClass(
            pk=row.pk,
            event_id=row.event_id,
            recurring_event_id=row.recurring_event_id,
            meeting_code=row.meeting_code,
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            cancelled=row.status == SessionStatus.CANCELLED,
            organizer=row.organizer_email,
        )
        for mark in {row.event_id, row.recurring_event_id, f"code:{row.meeting_code}"} - {""}:
            by_mark[mark][row.pk] = planned
    found = {}
    own_domain = settings.GOOGLE_DELEGATED_USER.rpartition("@")[2]
    for call in calls:
        near: dict[int, PlannedClass] = {}
        for mark in (*call.event_ids, f"code:{call.meeting_code}"):
            near |= by_mark.get(mark, {})
        found[call.pk] = correlate(call=call, classes=list(near.values()), own_domain=own_domain)
    return found


def _store(found: Mapping[int, Correlation]) -> set[int]:
    """Write the matches; return every class that has, or had, one of these calls."""
    known = {
        (row.conference_id, row.session_id): row
        for row in ConferenceMatch.objects.filter(conference_id__in=found)
    }
    wanted = {
        (conference, session): rule
        for conference, correlation in found.items()
        for session, rule in correlation.rules.items()
    }
    gone = [row.pk for pair, row in known.items() if pair not in wanted]
    ConferenceMatch.objects.filter(pk__in=gone).delete()
    ConferenceMatch.objects.bulk_create(
        [
            ConferenceMatch(
                conference_id=pair[0],
                session_id=pair[1],
                rule=rule.value,
                confidence=_CONFIDENCE[rule],
            )
            for pair, rule in wanted.items()
            if pair not in known
        ],
        ignore_conflicts=True,
    )
    return {session for _, session in {*known, *wanted}}


def _ask(found: Mapping[int, Correlation], now: datetime) -> None:
    """Let a person decide which class a call was, where neither its event nor its time tells."""
    ask(
        [
            ReviewItem(
                kind=ReviewKind.AMBIGUOUS_CALL.value,
                key=_question_key(conference),
                session_id=correlation.ambiguous[0],
                evidence={"conference": conference, "sessions": list(correlation.ambiguous)},
                created_at=now,
            )
            for conference, correlation in found.items()
            if correlation.ambiguous
        ]
    )
    clear = [_question_key(pk) for pk, correlation in found.items() if not correlation.ambiguous]
    answer_itself(keys=clear, now=now)


def _question_key(conference: int) -> str:
    return f"{ReviewKind.AMBIGUOUS_CALL}:{conference}"


def make_due(sessions: Iterable[int], now: datetime) -> None:
    """Let the settler look at these classes (ids) again, where they are over. Safe to repeat."""
    rows = (
        ClassSession.objects.select_for_update(no_key=True)
        .confirmed()
        .filter(pk__in=list(sessions), ends_at__lte=now)
        .order_by("pk")
    )
    ClassSession.objects.filter(pk__in=[row.pk for row in rows]).update(next_check_at=now)


@transaction.atomic
def wake_waiting(*, since: datetime, now: datetime) -> None:
    """Make classes that wait for a complete log due again, after the log was read from `since`."""
    waiting = ClassSession.objects.filter(
        status__in=[SessionStatus.ENDED, SessionStatus.SETTLING, SessionStatus.NO_DATA],
        ends_at__gte=since,
    )
    make_due(waiting.values_list("pk", flat=True), now)
