"""What attendance knew at each moment of the past, brought back in its order.

A fact appears when it was recorded, a revision of an outcome when it was concluded; what came
later is not there yet. Classes that were read or imported long after they were held made no facts
(they never do): they are replayed as if they had settled in time, and counted as such.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from attendance import services as attendance
from attendance.domain.presence import Policy
from attendance.domain.settlement import FACTS_FIRE_FOR
from attendance.models import AttendanceEvent, ClassSession, Outcome, Pledge
from nurture.services.simulation.shadow import Shadow

#: When a class would have settled that was not read in time.
_IN_TIME = Policy().settle_missed
_COMPACT_EVERY = 50  # tellings

_KNOWN = """
CREATE TEMP TABLE sim_outcome AS
SELECT o.*, CASE WHEN late THEN s.ends_at + %(in_time)s ELSE o.decided_at END AS known_at,
       CASE WHEN late AND o.effective THEN s.ends_at + %(in_time)s ELSE o.effective_at END
       AS admitted_at, late
  FROM {outcomes} o JOIN {sessions} s ON s.id = o.session_id
  JOIN {outcomes} f ON (f.learner_id, f.session_id, f.revision) = (o.learner_id, o.session_id, 1)
 CROSS JOIN LATERAL (SELECT f.decided_at > s.ends_at + %(fire_for)s AS late) x
 WHERE CASE WHEN late THEN s.ends_at + %(in_time)s ELSE o.decided_at END <= %(until)s
"""
_NEWEST = """
    SELECT DISTINCT ON (learner_id, session_id) * FROM sim_outcome
     WHERE known_at > %(after)s AND known_at <= %(now)s
     ORDER BY learner_id, session_id, revision DESC
"""
_SUPERSEDE = f"""
UPDATE attendance_outcome t SET is_current = false FROM ({_NEWEST}) n
 WHERE t.learner_id = n.learner_id AND t.session_id = n.session_id AND t.is_current
"""
_REVEAL = """
INSERT INTO attendance_outcome ({columns})
SELECT {values} FROM ({newest}) n ON CONFLICT (id) DO NOTHING
"""
_ADMIT = """
UPDATE attendance_outcome t SET effective = true, effective_at = o.admitted_at FROM sim_outcome o
 WHERE t.id = o.id AND NOT t.effective AND o.admitted_at > %(after)s AND o.admitted_at <= %(now)s
"""
_LATE = (
    "SELECT DISTINCT session_id FROM sim_outcome WHERE late AND known_at > %s AND known_at <= %s"
)


@dataclass
class Replay:
    """The recorded past between two moments, on shadowed tables."""

    shadow: Shadow
    since: datetime
    until: datetime
    reconstructed: int = 0  # facts of classes that were not read in time
    _tellings: int = 0
    _told: datetime = field(init=False)
    _columns: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Bring in what was known when the replay begins."""
        self._told = datetime(2000, 1, 1, tzinfo=UTC)
        self._columns = _columns_of_outcome()
        live = self.shadow.of_live
        self._run(
            _KNOWN.format(outcomes=live(Outcome), sessions=live(ClassSession)),
            {"in_time": _IN_TIME, "fire_for": FACTS_FIRE_FOR, "until": self.until},
        )
        self._run("CREATE INDEX ON sim_outcome (known_at)")
        self._run("ANALYZE sim_outcome")
        self._reveal_outcomes(self.since)
        self.shadow.copy(Pledge, "answered_at <= %s", [self.since])
        self._told = self.since

    def moments(self) -> list[datetime]:
        """Every moment at which something new was known, in order."""
        sql = f"""
            SELECT recorded_at FROM {self.shadow.of_live(AttendanceEvent)}
             WHERE recorded_at > %(since)s AND recorded_at <= %(until)s
            UNION SELECT known_at FROM sim_outcome WHERE late AND known_at > %(since)s
            ORDER BY 1
        """
        with connection.cursor() as cursor:
            cursor.execute(sql, {"since": self.since, "until": self.until})
            return [at for (at,) in cursor.fetchall()]

    def tell(self, now: datetime) -> None:
        """Bring in what was known by `now` and is not here yet."""
        if now <= self._told:
            return
        self._reveal_outcomes(now)
        between = [self._told, now]
        self.shadow.copy(Pledge, "answered_at > %s AND answered_at <= %s", between)
        self._copy_facts(between)
        self._publish_late(between)
        self._told = now
        self._tellings += 1
        if self._tellings % _COMPACT_EVERY == 0:
            self.shadow.compact()

    def facts(self) -> int:
        """How many facts were brought in."""
        return AttendanceEvent.objects.count()

    def _reveal_outcomes(self, now: datetime) -> None:
        between = {"after": self._told, "now": now}
        columns, values = self._columns
        self._run(_SUPERSEDE, between)
        self._run(_REVEAL.format(columns=columns, values=values, newest=_NEWEST), between)
        self._run(_ADMIT, between)

    def _copy_facts(self, between: list[datetime]) -> None:
        self.shadow.copy(AttendanceEvent, "recorded_at > %s AND recorded_at <= %s", between)
        self._run(
            "UPDATE attendance_attendanceevent SET processed_at = NULL WHERE recorded_at > %s",
            between[:1],
        )

    def _publish_late(self, between: list[datetime]) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_LATE, between)
            sessions = [pk for (pk,) in cursor.fetchall()]
        for session in ClassSession.objects.filter(pk__in=sessions).order_by("id"):
            at = session.ends_at + _IN_TIME
            self.reconstructed += attendance.publish_outcomes(session=session, now=at)

    def _run(self, sql: str, values: Any = None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql, values)


def _columns_of_outcome() -> tuple[str, str]:
    """The columns of an outcome, and their values as they were known."""
    names = [field.attname for field in Outcome._meta.concrete_fields]
    known = {
        "is_current": "true",
        "effective": "coalesce(n.admitted_at <= %(now)s, false)",
        "effective_at": "CASE WHEN n.admitted_at <= %(now)s THEN n.admitted_at END",
    }
    return ", ".join(names), ", ".join(known.get(name, f"n.{name}") for name in names)
