"""What others may ask of nurture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from attendance.models import ClassSession
from nurture.models import Decision, Journey

# Asked each second: each part ends at a partial index.
_WORK = """
SELECT EXISTS (SELECT FROM attendance_attendanceevent WHERE processed_at IS NULL),
       EXISTS (SELECT FROM nurture_deliveries
                WHERE settled_at IS NOT NULL AND observed_at IS NULL),
       EXISTS (SELECT FROM user_nurture_journeys
                WHERE status = 'active' AND next_action_at IS NOT NULL AND next_action_at <= %s)
"""


@dataclass(frozen=True)
class Work:
    """What a pass of the engine would find."""

    facts: bool
    ends: bool  # of messages that journeys wait on
    due: bool  # journeys


def work(*, now: datetime) -> Work:
    """What there is to do for the engine, in one cheap statement."""
    with connection.cursor() as cursor:
        cursor.execute(_WORK, [now])
        return Work(*cursor.fetchone())


def has_work(*, now: datetime, settles: bool = True, advances: bool = True) -> bool:
    """Whether a pass of the engine would find something to do.

    `settles`, `advances`: whether the switches let it settle classes and move journeys.
    """
    found = work(now=now)
    if found.facts or (advances and (found.ends or found.due)):
        return True
    return settles and ClassSession.objects.filter(next_check_at__lte=now).exists()


def journeys_of(*, learner_id: int) -> list[Journey]:
    """A learner's journeys, newest first, with sequence, class and awaited message."""
    return list(
        Journey.objects.filter(learner=learner_id)
        .select_related("sequence", "version", "session", "waiting_on")
        .order_by("-started_at", "-id")
    )


def decisions_of(*, learner_id: int, sequence_id: int | None = None) -> list[Decision]:
    """What was decided about a learner, newest first; of one sequence or of all."""
    rows = Decision.objects.filter(learner=learner_id)
    if sequence_id is not None:
        rows = rows.filter(sequence=sequence_id)
    return list(
        rows.select_related("sequence", "journey", "delivery", "event").order_by(
            "-decided_at", "-id"
        )
    )
