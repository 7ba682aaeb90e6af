"""What learners will hear in the next days, if nothing new happens: across all sequences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from attendance.models import AttendanceEvent, Outcome, Pledge
from delivery.domain.states import UNSENT
from delivery.models import ArchivedDelivery, Attempt, Chat, Delivery, InboundUpdate
from nurture.models import Contact, Decision, Journey, SequenceEdit
from nurture.services.simulation.backtesting import digest_of
from nurture.services.simulation.report import learner_lines
from nurture.services.simulation.run import play
from nurture.services.simulation.shadow import SHADOWED, Shadow, shadowed

DAYS = 14
#: What is copied for the learners in question only; every other shadowed table whole.
_OF_LEARNERS = (AttendanceEvent, Outcome, Pledge, Contact, Journey, Decision)
_LEFT_OUT = (ArchivedDelivery, Attempt, SequenceEdit)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """The messages to come, with their moments. Nothing was written for it."""

    since: datetime
    until: datetime
    learners: list[dict[str, Any]]
    digest: str


def forecast(
    *, learner_ids: Iterable[int] | None = None, now: datetime, days: int = DAYS
) -> Forecast:
    """Run the engine `days` ahead over copies of what stands now; writes nothing.

    No class of the future is attended or missed in it, and nobody answers: it tells what is under
    way, with windows, caps, consents, gates and switches as they are. `learner_ids`: None = all.
    """
    until = now + timedelta(days=days)
    with shadowed() as shadow:
        copy_present(shadow, learner_ids=learner_ids)
        owed = set(Delivery.objects.filter(status__in=UNSENT).values_list("pk", flat=True))
        play(since=now, until=until)
        coming = Decision.objects.filter(delivery__isnull=False).exclude(
            delivery__settled_at__lt=now
        )
        learners = learner_lines(
            of=coming.filter(decided_at__gte=now) | coming.filter(delivery__in=owed)
        )
    return Forecast(since=now, until=until, learners=learners, digest=digest_of(learners))


def copy_present(shadow: Shadow, *, learner_ids: Iterable[int] | None) -> None:
    """Take over everything that stands now, of these learners or of all."""
    some = None if learner_ids is None else sorted(set(learner_ids))
    theirs = "true"
    if some is not None:
        theirs = f"id IN (SELECT chat_id FROM {shadow.of_live(Contact)} WHERE learner_id = ANY(%s))"
    chats = f"FROM {shadow.of_live(Chat)} WHERE {theirs}"
    only = dict.fromkeys(_OF_LEARNERS, "learner_id = ANY(%s)") | {
        Chat: theirs,
        Delivery: f"chat_id IN (SELECT id {chats})",
        InboundUpdate: f"chat_key IN (SELECT telegram_key {chats})",
    }
    for model in SHADOWED:
        if model in _LEFT_OUT:
            continue
        if some is not None and model in only:
            shadow.copy(model, only[model], [some])
        else:
            shadow.copy(model)
    shadow.ready()
