"""Who may enter a sequence: the rules in their order, each with a reason where it says no."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from attendance import selectors as attendance
from attendance.models import AttendanceEvent
from nurture import flags
from nurture.domain.entry import Enter, Previous, Refuse, entry_key, may_enter
from nurture.domain.reasons import Reason
from nurture.domain.rollout import bucket
from nurture.domain.sequence import Fact, Mode
from nurture.domain.triggers import ANY_COURSE, Mismatch, first_match
from nurture.models import OPEN, HoldoutAssignment, Journey, SequenceVersion
from nurture.services.journeys import start
from nurture.services.world import World, why_silent

CORRECTED = "corrected"


@dataclass
class Flags:
    """The switch `nurture`, asked once in a pass."""

    percent: float | None = None

    def refuse(self, learner_id: int) -> Reason | None:
        """Why nurture does not act for this learner; None if it does."""
        if self.percent is None:
            self.percent = flags.rollout_percent()
        if self.percent <= 0:
            return Reason.NURTURE_OFF
        drawn = bucket(flags.rollout_key(learner_id))
        return None if drawn < self.percent else Reason.NOT_IN_ROLLOUT


@dataclass
class Refusal:
    """Why a learner does not enter."""

    reason: str
    inputs: dict[str, Any] = field(default_factory=dict)
    until: datetime | None = None


@dataclass
class Admission:
    """The entry rules of one pass."""

    world: World
    flags: Flags
    #: Earlier journeys by learner; those that begin in this pass are added.
    previous: dict[int, list[Journey]] = field(default_factory=dict)
    _streaks: dict[attendance.Asked, int] = field(default_factory=dict)
    #: By learner and class: the newest correction that was acted on.
    _corrected: dict[tuple[int, int], int] = field(default_factory=dict)
    _held_out: dict[tuple[int, int], bool] = field(default_factory=dict)

    def read(
        self, events: Iterable[AttendanceEvent], known: Mapping[int, Iterable[Journey]]
    ) -> None:
        """Read the streaks of these facts, and the journeys and draws of their learners.

        Open journeys are taken from `known`: so an exit in this pass is seen by the entry rules
        that follow it.
        """
        facts = list(events)
        learners = {event.learner_id for event in facts}
        self._streaks.update(attendance.streaks_of(_asked(event) for event in facts))
        held = {row.pk: row for learner in learners for row in known.get(learner, ())}
        self.previous.update({learner: [] for learner in learners})
        rows = Journey.objects.filter(learner__in=learners, is_test=False)
        for row in rows.order_by("started_at", "id"):
            self.previous[row.learner_id].append(held.get(row.pk, row))
        corrections = AttendanceEvent.objects.filter(
            kind=CORRECTED, learner__in=learners, session__in={e.session_id for e in facts},
            processed_at__isnull=False,
        )  # fmt: skip
        for learner, session, pk in corrections.order_by("id").values_list(
            "learner_id", "session_id", "id"
        ):
            self._corrected[learner, session] = pk
        for draw in HoldoutAssignment.objects.filter(learner__in=learners):
            self._held_out[draw.sequence_id, draw.learner_id] = draw.held_out

    def _earlier(self, version: SequenceVersion, learner_id: int) -> list[Previous]:
        """What was only pretended counts while it is pretended, and never for what is real."""
        pretends = version.sequence.mode == Mode.DRY_RUN
        return [
            Previous(
                entry_key=row.entry_key,
                started_at=row.started_at,
                is_open=row.status in OPEN,
                slot=row.slot,
            )
            for row in self.previous.get(learner_id, [])
            if row.sequence_id == version.sequence_id and row.dry_run == pretends
        ]

    def consider(self, *, version: SequenceVersion, event: AttendanceEvent) -> Journey | None:
        """Begin a journey of this version, or note why not."""
        verdict = self.judge(version=version, event=event)
        if isinstance(verdict, Refusal):
            self._note(version, event, verdict.reason, verdict.inputs, verdict.until)
            return None
        key = self._key(version, event)
        journey = start(
            version=version, event=event, entry_key=key, enter=verdict, world=self.world
        )
        self.previous.setdefault(event.learner_id, []).append(journey)
        return journey

    def judge(self, *, version: SequenceVersion, event: AttendanceEvent) -> Enter | Refusal:
        """Apply every rule, in order; the first that says no decides."""
        refusal = self._switches(version, event) or self._trigger(version, event)
        if refusal is not None:
            return refusal
        spec, contact = self.world.spec(version.pk), self.world.contact_of(event.learner_id)
        silent = why_silent(contact, spec.category)
        if silent is not None:
            return Refusal(silent, {"category": spec.category})
        verdict = may_enter(
            spec.entry,
            key=self._key(version, event),
            previous=self._earlier(version, event.learner_id),
            now=self.world.now,
        )
        if isinstance(verdict, Refuse):
            return Refusal(verdict.reason, dict(verdict.inputs), verdict.until)
        if self._is_held_out(version, event.learner_id):
            return Refusal(Reason.HELD_OUT, {"percent": version.holdout})
        return verdict

    def _switches(self, version: SequenceVersion, event: AttendanceEvent) -> Refusal | None:
        if version.sequence.mode == Mode.STOPPED:
            return Refusal(Reason.SEQUENCE_STOPPED)
        off = self.flags.refuse(event.learner_id)
        if off is not None:
            return Refusal(off)
        # Another worker may have had the correction first; it found nothing to take back.
        if self._corrected.get((event.learner_id, event.session_id), 0) > event.pk:
            return Refusal(Reason.CORRECTED)
        if event.expires_at <= self.world.now:
            return Refusal(Reason.FACT_EXPIRED, {"expired_at": event.expires_at.isoformat()})
        return None

    def _trigger(self, version: SequenceVersion, event: AttendanceEvent) -> Refusal | None:
        found = first_match(
            self.world.spec(version.pk).triggers,
            fact=Fact(event.kind),
            calendar_id=event.session.course.calendar_id,
            streak=self._streak(event),
        )
        if isinstance(found, Mismatch):
            return Refusal(found.reason, dict(found.inputs))
        return None

    def _streak(self, event: AttendanceEvent) -> int:
        """How many classes in a row have the fact, as attendance sees it now."""
        asked = _asked(event)
        if asked not in self._streaks:
            self._streaks.update(attendance.streaks_of([asked]))
        return self._streaks[asked]

    def row_is_broken(self, journey: Journey, corrected: AttendanceEvent) -> bool:
        """Whether it began since n classes in a row had its fact, and that is so no more now that
        an earlier one was corrected."""
        cause, earlier = journey.cause, corrected.session
        if cause is None or journey.status not in OPEN or journey.course_id != earlier.course_id:
            return False
        if earlier.starts_at >= cause.session.starts_at:
            return False
        asked = [
            trigger.times
            for trigger in self.world.spec(journey.version_id).triggers
            if trigger.fact == cause.kind
            and trigger.course in {ANY_COURSE, earlier.course.calendar_id}
        ]
        return bool(asked) and self._streak(cause) < min(asked)

    def _key(self, version: SequenceVersion, event: AttendanceEvent) -> str:
        return entry_key(self.world.spec(version.pk).entry, event.session_id)

    def _is_held_out(self, version: SequenceVersion, learner_id: int) -> bool:
        """Whether the learner is left alone for comparison; drawn once and kept."""
        if version.holdout == 0:
            return False
        key = (version.sequence_id, learner_id)
        if key not in self._held_out:
            place = bucket(f"holdout:{version.sequence.slug}:{learner_id}")
            self._held_out[key] = place < version.holdout
            self.world.writes.hold_out(
                HoldoutAssignment(
                    sequence=version.sequence,
                    learner_id=learner_id,
                    held_out=self._held_out[key],
                    assigned_at=self.world.now,
                )
            )
        return self._held_out[key]

    def _note(
        self,
        version: SequenceVersion,
        event: AttendanceEvent,
        code: str,
        inputs: dict[str, Any],
        until: datetime | None = None,
    ) -> None:
        self.world.writes.note(
            learner_id=event.learner_id,
            sequence_id=version.sequence_id,
            code=code,
            now=self.world.now,
            inputs=inputs | ({"until": until.isoformat()} if until else {}),
            event=event,
        )


def _asked(event: AttendanceEvent) -> attendance.Asked:
    return attendance.Asked(
        learner_id=event.learner_id,
        course_id=event.session.course_id,
        fact=event.kind,
        starts_at=event.session.starts_at,
    )
