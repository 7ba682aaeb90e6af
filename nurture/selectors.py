"""What others may ask of nurture."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from attendance.models import ClassSession

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
