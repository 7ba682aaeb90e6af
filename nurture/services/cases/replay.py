"""Let the production engine decide about a case again: same moments, facts, answers, ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from attendance.models import ClassSession, Course, Enrolment, Learner, LearnerIdentity, ReviewItem
from delivery.domain.states import Status
from delivery.models import Consent
from nurture.domain import case as rules
from nurture.domain.catching_up import Policy
from nurture.domain.reasons import Reason
from nurture.models import Journey
from nurture.services import holding
from nurture.services.cases.bundle import FORMAT
from nurture.services.cases.record import decisions_of
from nurture.services.cases.stage import Stage, is_over, maybe, moment
from nurture.services.deliveries import SILENCED
from nurture.services.endings import exit_journey
from nurture.services.engine import react
from nurture.services.events import learner_did
from nurture.services.journeys import open_journeys
from nurture.services.simulation.shadow import set_clock, shadowed
from nurture.services.world import World

_PEOPLE = (Learner, LearnerIdentity, Course, ClassSession, Enrolment, ReviewItem, Consent)
#: Ends that somebody outside the engine brought about.
_ENDED_FROM_OUTSIDE = frozenset(
    {
        Reason.OPTED_OUT, Reason.UNREACHABLE, Reason.NO_CONTACT, Reason.NOT_LINKED,
        Reason.ENDED_BY_STAFF, Reason.SEQUENCE_STOPPED, Reason.VERSION_REPLACED, Reason.ERASED,
    }
)  # fmt: skip
_HELD = frozenset({Reason.PAUSED_BY_STAFF, Reason.DISPUTED, Reason.RESTORED})

Act = Callable[[Journey, datetime], object]


class UnknownCaseError(ValueError):
    """What was given is no case, or one of another format."""


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of it. `difference` is empty where every decision is the same."""

    digest: str
    decisions: list[dict[str, Any]]
    difference: str

    @property
    def same(self) -> bool:
        """Whether the decisions are those of the original."""
        return not self.difference


def replay(*cases: Mapping[str, Any]) -> list[Replayed]:
    """Decide about cases again, each for itself, on copies that vanish; writes nothing.

    Safe to run anywhere. Raises UnknownCaseError.
    """
    if any(case.get("format") != FORMAT for case in cases):
        raise UnknownCaseError(f"this is no case of format {FORMAT}")
    # Nothing is copied here, and whatever gets a new key gets one that no row has: no `ready`.
    with shadowed(*_PEOPLE):
        return [_replay(case) for case in cases]


def _replay(case: Mapping[str, Any]) -> Replayed:
    point = transaction.savepoint()
    stage = Stage(case)
    stage.furnish()
    _play(stage)
    journey = stage.journey()
    decisions = decisions_of(journey.pk) if journey else []
    transaction.savepoint_rollback(point)
    return Replayed(
        digest=rules.digest(decisions),
        decisions=decisions,
        difference=rules.difference(case["decisions"], decisions),
    )


def _play(stage: Stage) -> None:
    passes, acts = _course_of(stage.case)
    for now in sorted(passes | set(acts)):
        set_clock(now)
        stage.tell(now)
        stage.end(now)
        journey = stage.journey()
        if journey is not None:
            for act in acts.get(now, ()):
                act(journey, now)
        while now in passes:
            react(now=now)
            if not stage.end(now):  # what was planned now may have come to its end now
                break


def _course_of(case: Mapping[str, Any]) -> tuple[set[datetime], dict[datetime, list[Act]]]:
    """When the engine had its turn, and what learners and staff did when."""
    passes = {moment(row["processed_at"]) for row in case["facts"]}
    acts: dict[datetime, list[Act]] = defaultdict(list)
    for row in case["pledges"]:
        acts[moment(row["answered_at"])].append(_pledged(row["class"]))
    for row in case["decisions"]:
        at, act = moment(row["at"]), _act_of(row)
        if act is None or _is_the_engines(row, case):
            passes.add(at)
        else:
            acts[at].append(act)
    for row in case["said"]:
        acts[_acted_at(row, case)].append(_replied)
    return passes, acts


def _is_the_engines(row: Mapping[str, Any], case: Mapping[str, Any]) -> bool:
    """Whether what looks like somebody's act follows from a fact, or from a message's end."""
    at = moment(row["at"])
    upheld = {fact["processed_at"] for fact in case["facts"] if fact["kind"] == "upheld"}
    silenced = row["code"] in SILENCED.values() and any(
        one["reason"] in SILENCED and one["status"] != Status.CANCELLED and is_over(one, at)
        for one in case["deliveries"]
    )
    return silenced or row["at"] in upheld


def _act_of(row: Mapping[str, Any]) -> Act | None:
    code, inputs = row["code"], row["inputs"]
    if code in _HELD:
        return lambda journey, now: holding.pause(journey=journey, reason=code, now=now)
    if code == Reason.RESUMED:
        policy = Policy(inputs["policy"])
        return lambda journey, now: holding.resume(journey=journey, policy=policy, now=now)
    if code in _ENDED_FROM_OUTSIDE:
        return lambda journey, now: _exit(journey, Reason(code), now)
    return None


def _acted_at(said: Mapping[str, Any], case: Mapping[str, Any]) -> datetime:
    """When something said was acted on: with the decision that it led to, if it led to one."""
    received = moment(said["received_at"])
    handled = maybe(said["handled_at"]) or received
    times = (moment(row["at"]) for row in case["decisions"])
    return next((at for at in times if received <= at <= handled), handled)


@transaction.atomic
def _exit(journey: Journey, reason: Reason, now: datetime) -> None:
    world = World(now=now)
    for row in open_journeys().filter(pk=journey.pk):
        exit_journey(journey=row, reason=reason, world=world)
    world.writes.write()


def _replied(journey: Journey, now: datetime) -> int:
    return learner_did(learner_id=journey.learner_id, fact="replied", now=now)


def _pledged(session_id: int) -> Act:
    def act(journey: Journey, now: datetime) -> int:
        session = ClassSession.objects.get(pk=session_id)
        return holding.answered_pledge(learner=journey.learner, session=session, now=now)

    return act
