"""Decisions on their way into the table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attendance.models import AttendanceEvent
from delivery.models import Delivery
from nurture.models import Decision, Journey


@dataclass
class Notes:
    """Decisions that are not written yet; they go in one statement, or not at all."""

    rows: list[Decision] = field(default_factory=list)

    def add(
        self,
        *,
        learner_id: int,
        code: str,
        now: datetime,
        sequence_id: int | None = None,
        journey: Journey | None = None,
        step_key: str = "",
        inputs: dict[str, Any] | None = None,
        delivery: Delivery | None = None,
        event: AttendanceEvent | None = None,
    ) -> None:
        """Note one thing that was decided, and from what."""
        self.rows.append(
            Decision(
                learner_id=learner_id,
                sequence_id=journey.sequence_id if journey else sequence_id,
                journey=journey,
                step_key=step_key,
                code=str(code),
                inputs=inputs or {},
                delivery=delivery,
                event=event,
                decided_at=now,
            )
        )

    def of_journey(
        self,
        journey: Journey,
        code: str,
        now: datetime,
        *,
        step_key: str = "",
        inputs: dict[str, Any] | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        """Note something about a journey."""
        self.add(
            learner_id=journey.learner_id,
            code=code,
            now=now,
            journey=journey,
            step_key=step_key,
            inputs=inputs,
            delivery=delivery,
        )

    def write(self) -> None:
        """Write what was noted."""
        Decision.objects.bulk_create(self.rows)
        self.rows = []
