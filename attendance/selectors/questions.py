"""What a question to staff is about: the sentence, who it could be, where it was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from attendance.domain.kinds import ReviewKind
from attendance.models import (
    ClassSession,
    ConferenceMatch,
    Endpoint,
    Learner,
    Outcome,
    Pledge,
    ReviewItem,
)
from attendance.selectors.evidence import Device

MOST_SHOWN = 20
WHY = {
    "name": "The name in the call is theirs.",
    "masked_address": "The masked address fits theirs.",
    "masked_address_and_name": "Masked address and name both fit.",
    "address_named_by_learner": "They said that they use this address.",
    "stranger": "A whole address that no learner has.",
    "room": "A room's own device. Learners who sat in it are not counted; correct their outcomes.",
    "anyone": "Nothing says who it is, so it could be anyone.",
}


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """One device in one class."""

    session: ClassSession
    device: Device

    @property
    def minutes(self) -> int:
        """How long, in whole minutes."""
        return int((self.device.ended_at - self.device.started_at).total_seconds() // 60)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A learner who a guest could be, and what speaks for and against it."""

    learner: Learner
    reasons: Sequence[str]
    devices: Sequence[Device]  # their own, in the same class


@dataclass(frozen=True, kw_only=True)
class Dossier:
    """All that helps to answer."""

    question: str
    why: str
    lines: Sequence[str]
    appearances: Sequence[Appearance] = ()
    candidates: Sequence[Candidate] = ()
    outcome: Outcome | None = None
    shown_as: Sequence[str] = field(default_factory=tuple)


_QUESTIONS = {
    ReviewKind.GUEST: "Who is {shown}?",
    ReviewKind.ADDRESS: "Does {address} belong to {who}?",
    ReviewKind.DISPUTE: "{who} says: I was there. Right?",
    ReviewKind.BRIEF: "{who} was seen only briefly. Was that a miss?",
    ReviewKind.AMBIGUOUS_CALL: "Which class was this call?",
    ReviewKind.LATE_RECORD: "A record of {who} came after three days. What was it?",
    ReviewKind.LOW_SHARE: "Hardly anybody was seen in this class. Did so few come?",
    ReviewKind.NO_DATA: "Google's log shows nobody in this class.",
    ReviewKind.REPORT: "A report names {named}. Were they there?",
    ReviewKind.GOOGLE_DARK: "Google does not let us read: {what}",
}


def question(item: ReviewItem) -> str:
    """The question in a sentence."""
    return _QUESTIONS[ReviewKind(item.kind)].format(
        who=(item.learner.name or item.learner.email) if item.learner else "Somebody",
        shown=_shown(item) if item.kind == ReviewKind.GUEST else "",
        address=item.evidence.get("address", ""),
        what=item.evidence.get("what", ""),
        named=item.evidence.get("name", "somebody"),
    )


def dossier(item: ReviewItem) -> Dossier:
    """Gather it; a constant number of statements."""
    current = None
    if item.learner_id and item.session_id:
        current = (
            Outcome.objects.filter(
                learner=item.learner_id, session=item.session_id, is_current=True
            )
            .select_related("learner", "session__course")
            .first()
        )
    endpoints = _endpoints(item)
    return Dossier(
        question=question(item),
        why=WHY.get(str(item.evidence.get("why", "")), ""),
        lines=_lines(item),
        appearances=[
            Appearance(session=session, device=_device(row)) for row, session in endpoints
        ],
        candidates=_candidates(item),
        outcome=current,
        shown_as=sorted({row.display_name for row, _ in endpoints if row.display_name}),
    )


def _device(row: Endpoint) -> Device:
    return Device(*(getattr(row, name) for name in Device._fields))


def _candidates(item: ReviewItem) -> list[Candidate]:
    """Whom the evidence names, with what we know of each in that class."""
    found = Learner.objects.filter(pk__in=item.evidence.get("candidates", ()))
    learners, here = sorted(found, key=lambda who: (who.name, who.pk)), item.session_id or 0
    outcomes = dict(
        Outcome.objects.filter(learner__in=learners, session=here, is_current=True).values_list(
            "learner_id", "outcome"
        )
    )
    said = dict(
        Pledge.objects.filter(learner__in=learners, session=here).values_list("learner_id", "state")
    )
    devices: dict[int, list[Device]] = defaultdict(list)
    for row in Endpoint.objects.filter(learner__in=learners, conference__matches__session=here):
        devices[row.learner_id or 0].append(_device(row))
    return [
        Candidate(
            learner=who,
            reasons=_reasons(
                item, who, outcomes.get(who.pk), said.get(who.pk), bool(devices[who.pk])
            ),
            devices=devices[who.pk],
        )
        for who in learners
    ]


def _reasons(
    item: ReviewItem, who: Learner, outcome: str | None, said: str | None, seen: bool
) -> list[str]:
    found = [WHY.get(str(item.evidence.get("why", "")), ""), f"Ours: {who.name}, {who.email}."]
    found.append(
        "In this class on a device of their own; this would be a second one."
        if seen
        else "Not seen in this class otherwise."
    )
    if said in {"yes", "kept", "broken"}:
        found.append("Said that they would come.")
    if outcome:
        found.append(f"Stands as {outcome.replace('_', ' ')} now.")
    return [line for line in found if line]


def _shown(item: ReviewItem) -> str:
    kind, _, value = item.mark.partition(":")
    name = item.endpoint.display_name if item.endpoint else ""
    if kind == "display_name" or not value:
        return f"“{name}”" if name else "somebody without a name"
    shown = value.partition("|")[0]
    return f"{shown} (“{name}”)" if name else shown


def _endpoints(item: ReviewItem) -> list[tuple[Endpoint, ClassSession]]:
    rows = Endpoint.objects.all()
    if item.kind == ReviewKind.GUEST and not item.mark:
        rows = rows.filter(pk=item.endpoint_id or 0)
    elif item.mark:
        rows = rows.filter(mark=item.mark)
    elif item.learner_id and item.session_id:
        rows = rows.filter(learner=item.learner_id, conference__matches__session=item.session_id)
    else:
        return []
    found = list(rows.order_by("-started_at", "-pk")[:MOST_SHOWN])
    classes: dict[int, list[ClassSession]] = defaultdict(list)
    matches = ConferenceMatch.objects.filter(conference__in={row.conference_id for row in found})
    for match in matches.select_related("session__course").order_by("pk"):
        classes[match.conference_id].append(match.session)
    return [(row, session) for row in found for session in classes[row.conference_id]]


def _lines(item: ReviewItem) -> list[str]:
    seen = item.evidence
    found = []
    if note := seen.get("note"):
        found.append(str(note))
    if seen.get("taken"):
        found.append("Another learner surely has this address already.")
    if "seen" in seen and item.kind == ReviewKind.ADDRESS:
        found.append(f"It was seen in calls {seen['seen']} times.")
    if "expected" in seen:
        found.append(f"{seen.get('seen', 0)} of {seen['expected']} expected learners were seen.")
    if holds := seen.get("holds"):
        waits = "One learner waits" if holds == 1 else f"{holds} learners wait"
        found.append(f"{waits} for the answer.")
    if "seconds" in seen:
        found.append(f"Seen for {int(seen['seconds']) // 60} min {int(seen['seconds']) % 60} s.")
    if said := seen.get("said"):
        found.append(str(said))
    return found
