"""Promises to come: asked, given, and what became of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from attendance.domain.kinds import PRESENT_KINDS, EventKind, OutcomeKind, PledgeState
from attendance.models import AttendanceEvent, ClassSession, Learner, Outcome, Pledge
from config import telemetry

IS_NEWS_FOR = timedelta(hours=72)
BY_STAFF = "staff:"  # how the source begins of what a person said
_SETTLED = [PledgeState.KEPT, PledgeState.BROKEN, PledgeState.EXCUSED]
_PROMISED = [PledgeState.YES, *_SETTLED]


@transaction.atomic
def ask_pledge(*, learner: Learner, session: ClassSession, source: str, now: datetime) -> Pledge:
    """Note that a learner was asked whether they will come. Asking again changes nothing."""
    found, _ = Pledge.objects.get_or_create(
        learner=learner,
        session=session,
        defaults={"state": PledgeState.ASKED.value, "asked_at": now, "source": source},
    )
    return found


def ask_pledges(*, pairs: Iterable[tuple[int, int]], source: str, now: datetime) -> None:
    """The same for many pairs of learner and class, in one statement."""
    Pledge.objects.bulk_create(
        [
            Pledge(
                learner_id=learner, session_id=session, state=PledgeState.ASKED.value,
                asked_at=now, source=source,
            )
            for learner, session in pairs
        ],
        ignore_conflicts=True,
    )  # fmt: skip


def unask_pledges(*, pairs: Iterable[tuple[int, int]], source: str) -> int:
    """They were not asked after all by this source; what they said meanwhile stays.

    Returns how many questions are gone. Safe to run twice.
    """
    by_class: dict[int, list[int]] = defaultdict(list)
    for learner, session in pairs:
        by_class[session].append(learner)
    gone = 0
    for session, learners in by_class.items():
        asked = Pledge.objects.filter(session=session, state=PledgeState.ASKED, source=source)
        gone += asked.filter(learner_id__in=learners).delete()[0]
    return gone


@transaction.atomic
def pledge(
    *, learner: Learner, session: ClassSession, answer: bool, source: str, now: datetime
) -> Pledge:
    """Record whether a learner will come to a class; the latest answer counts.

    A yes also goes out as the fact `pledged`, once per class. A class that is judged already
    keeps what became of the promise. Safe to run twice.
    """
    state = PledgeState.YES if answer else PledgeState.NO
    found, _ = Pledge.objects.select_for_update().get_or_create(
        learner=learner,
        session=session,
        defaults={"state": state.value, "answered_at": now, "source": source},
    )
    if found.state in _SETTLED:
        return found
    if found.state != state or found.answered_at is None:
        found.state, found.answered_at, found.source = state.value, now, source
        found.save(update_fields=["state", "answered_at", "source"])
    if answer:
        AttendanceEvent.objects.bulk_create(
            [
                AttendanceEvent(
                    kind=EventKind.PLEDGED.value,
                    learner=learner,
                    session=session,
                    key=f"{EventKind.PLEDGED}:{learner.pk}:{session.pk}",
                    occurred_at=now,
                    recorded_at=now,
                    expires_at=now + IS_NEWS_FOR,
                    trace=telemetry.traceparent(),
                )
            ],
            ignore_conflicts=True,
        )
    return found


@transaction.atomic
def excuse_pledge(*, learner: Learner, session: ClassSession, by: str, now: datetime) -> Pledge:
    """A promise that nobody holds somebody to any more. It is neither kept nor broken then."""
    found, _ = Pledge.objects.update_or_create(
        learner=learner,
        session=session,
        defaults={"state": PledgeState.EXCUSED.value, "source": f"{BY_STAFF}{by}"[:32]},
        create_defaults={
            "state": PledgeState.EXCUSED.value,
            "source": f"{BY_STAFF}{by}"[:32],
            "asked_at": now,
        },
    )
    return found


def close_pledges(*, session: ClassSession, outcomes: Iterable[Outcome]) -> None:
    """Say of each promise what became of it, from outcomes that changed. Safe to repeat.

    Where what had effect was withdrawn and nothing is known now, the promise stands again. To
    what a person excused nobody is held any more.
    """
    became: dict[PledgeState, list[int]] = defaultdict(list)
    for outcome in outcomes:
        state = _kept(OutcomeKind(outcome.outcome)) if outcome.effective else PledgeState.YES
        became[state].append(outcome.learner_id)
    for state, learners in became.items():
        promised = Pledge.objects.filter(session=session, learner_id__in=learners)
        promised.filter(state__in=_PROMISED).exclude(
            state=PledgeState.EXCUSED, source__startswith=BY_STAFF
        ).update(state=state.value)


def _kept(outcome: OutcomeKind) -> PledgeState:
    if outcome == OutcomeKind.EXCUSED:
        return PledgeState.EXCUSED
    return PledgeState.KEPT if outcome in PRESENT_KINDS else PledgeState.BROKEN
