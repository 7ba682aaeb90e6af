"""Everything that the page of one class shows, read in a constant number of statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from attendance.domain.bars import Frame, frame
from attendance.domain.gate import Doubts, Point, checklist, opens_at
from attendance.domain.hints import Guest, Hint, guest_key
from attendance.domain.kinds import PRESENT_KINDS, OutcomeKind, ReviewState
from attendance.domain.noticed import Place, place
from attendance.domain.reasons import WOULD_CHANGE, Reason
from attendance.domain.settlement import Rule
from attendance.models import (
    AttendanceEvent,
    ClassSession,
    Learner,
    Outcome,
    Pledge,
    ReviewItem,
)
from attendance.selectors.evidence import Device, Evidence, evidence
from attendance.selectors.questions import WHY

SAID_YES = frozenset({"yes", "kept", "broken"})


@dataclass(frozen=True, kw_only=True)
class Person:
    """One learner in one class."""

    learner: Learner
    outcome: Outcome | None
    devices: Sequence[Device]
    said: str  # state of the pledge; empty: nobody asked
    deciding: Rule  # which rule of the gate decides, as of now
    by_name: bool
    held: bool  # a guest could be them
    expected: bool
    question: ReviewItem | None  # what staff are asked about them in this class
    facts: Sequence[AttendanceEvent]

    @property
    def kind(self) -> str:
        """What stands."""
        return self.outcome.outcome if self.outcome else OutcomeKind.PENDING.value

    @property
    def reason(self) -> Reason:
        """Why it stands, or why nothing is concluded yet."""
        if self.outcome and self.outcome.reason in set(Reason):
            return Reason(self.outcome.reason)
        return Reason.NOT_SETTLED_YET if not self.outcome else self.deciding.reason

    @property
    def place(self) -> Place:
        """Where they stand in the list."""
        return place(
            kind=OutcomeKind(self.kind),
            asked=self.question.kind if self.question else "",
            said_yes=self.said in SAID_YES,
        )

    @property
    def would_change(self) -> str:
        """What could still make it another."""
        return WOULD_CHANGE[self.reason]


@dataclass(frozen=True, kw_only=True)
class Stranger:
    """Somebody in the call who is not resolved."""

    device: Device
    why: str
    candidates: Sequence[Learner]
    anyone: bool  # nothing says who; it could be anybody who was not seen
    question: ReviewItem | None


@dataclass(frozen=True, kw_only=True)
class ClassPage:
    """One class: what is known, what was concluded, what is still awaited."""

    known: Evidence
    frame: Frame
    people: Sequence[Person]
    strangers: Sequence[Stranger]
    others: Sequence[Device]  # staff, visitors, bots, rooms, learners of other courses
    names: Mapping[int, Learner]
    points: Sequence[Point]
    presence_from: datetime
    absence_from: datetime
    facts: Sequence[AttendanceEvent]

    @property
    def counts(self) -> dict[str, int]:
        """How many of each outcome, in the order of the kinds; none where there are none."""
        kinds = [person.kind for person in self.people]
        return {kind.value: kinds.count(kind) for kind in OutcomeKind if kind in kinds}

    @property
    def pledged(self) -> tuple[int, int]:
        """How many said yes, and how many of them came."""
        said = [person for person in self.people if person.said in SAID_YES]
        return len(said), sum(person.kind in PRESENT_KINDS for person in said)


def class_page(*, session: ClassSession, now: datetime) -> ClassPage:
    """Gather it as of `now`; nothing is written."""
    known = evidence(session=session)
    outcomes = {
        row.learner_id: row
        for row in Outcome.objects.filter(session=session, is_current=True).select_related(
            "learner", "policy"
        )
    }
    pledges = dict(Pledge.objects.filter(session=session).values_list("learner_id", "state"))
    items = _questions(known)
    facts = list(AttendanceEvent.objects.filter(session=session).order_by("pk"))
    names = _names(known, outcomes.values(), pledges)
    people = _people(known, outcomes, pledges, items, facts, names, now)
    presence_from, absence_from = opens_at(session=known.known, policy=known.policy)
    return ClassPage(
        known=known,
        frame=frame(
            starts_at=session.starts_at,
            ends_at=session.ends_at,
            stays=[(seen.started_at, seen.ended_at) for seen in known.devices],
        ),
        people=people,
        strangers=_strangers(known, items, names),
        others=_others(known, people),
        names=names,
        points=checklist(
            session=known.known, policy=known.policy, doubts=_doubts(known, people), now=now
        ),
        presence_from=presence_from,
        absence_from=absence_from,
        facts=facts,
    )


def _questions(known: Evidence) -> list[ReviewItem]:
    """What is asked in this class, and open questions elsewhere about who is a guest here."""
    session = known.session
    keys = [guest_key(guest=guest, course_id=session.course_id) for guest, _ in known.guests]
    asked = Q(session=session) | Q(state=ReviewState.OPEN, key__in=keys)
    return list(ReviewItem.objects.filter(asked).order_by("pk"))


def _names(
    known: Evidence, outcomes: Iterable[Outcome], pledges: Iterable[int]
) -> dict[int, Learner]:
    found = {row.learner_id: row.learner for row in outcomes}
    hinted = {pk for _, hint in known.guests for pk in hint.learners or ()}
    lacking = {*known.expected, *known.stays, *pledges, *hinted} - set(found)
    return found | (Learner.objects.in_bulk(lacking) if lacking else {})


def _people(
    known: Evidence,
    outcomes: Mapping[int, Outcome],
    pledges: Mapping[int, str],
    items: Sequence[ReviewItem],
    facts: Sequence[AttendanceEvent],
    names: Mapping[int, Learner],
    now: datetime,
) -> list[Person]:
    """Who is expected, of whom something stands, and who said that they come.

    The most telling first, then by name.
    """
    devices: dict[int | None, list[Device]] = defaultdict(list)
    for seen in known.devices:
        devices[seen.learner_id].append(seen)
    of_learner: dict[int, list[AttendanceEvent]] = defaultdict(list)
    for fact in facts:
        of_learner[fact.learner_id].append(fact)
    asked = {
        item.learner_id: item
        for item in items
        if item.state == ReviewState.OPEN and item.session_id == known.session.pk
    }
    found = []
    for pk in {*known.expected, *outcomes, *pledges}:
        evidence_of, conclusion = known.conclusion(learner_id=pk, now=now)
        failed = next((rule for rule in conclusion.rules if not rule.passed), None)
        found.append(
            Person(
                learner=names[pk],
                outcome=outcomes.get(pk),
                devices=devices[pk],
                said=pledges.get(pk, ""),
                deciding=failed or conclusion.rules[-1],
                by_name=pk in known.by_name,
                held=evidence_of.held_by_guest and pk not in known.stays,
                expected=pk in known.expected,
                question=asked.get(pk),
                facts=of_learner[pk],
            )
        )
    return sorted(found, key=lambda who: (who.place, who.learner.name, who.learner.pk))


def _strangers(
    known: Evidence, items: Sequence[ReviewItem], names: Mapping[int, Learner]
) -> list[Stranger]:
    questions = {item.key: item for item in items}
    by_pk = {seen.pk: seen for seen in known.devices}

    def stranger(guest: Guest, hint: Hint) -> Stranger:
        return Stranger(
            device=by_pk[guest.endpoint],
            why=WHY[hint.why],
            candidates=[names[pk] for pk in sorted(hint.learners or ()) if pk in names],
            anyone=hint.learners is None,
            question=questions.get(guest_key(guest=guest, course_id=known.session.course_id)),
        )

    return [stranger(guest, hint) for guest, hint in known.guests]


def _others(known: Evidence, people: Sequence[Person]) -> list[Device]:
    shown = {seen.pk for person in people for seen in person.devices}
    shown |= {guest.endpoint for guest, _ in known.guests}
    return [seen for seen in known.devices if seen.pk not in shown]


def _doubts(known: Evidence, people: Sequence[Person]) -> Doubts:
    unseen = [person for person in people if person.expected and not person.devices]
    return Doubts(
        expected=len(known.expected),
        seen=sum(who.seen for who in known.expected.values()),
        held=sum(person.held for person in unseen),
        unidentified=sum(person.learner.pk not in known.identified for person in unseen),
    )
