"""How right our outcomes are: against a gold set, and against the weekly audit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import Count, Q

from attendance.domain.evaluation import Evaluation, Judged, evaluate
from attendance.domain.kinds import AuditVerdict, OutcomeKind
from attendance.models import AuditPair, Endpoint, Outcome

AUTOMATIC = 4  # levels from here on were linked without asking


@dataclass(frozen=True)
class GoldPair:
    """What somebody who was there says of one learner in one class."""

    learner_id: int
    session_id: int
    outcome: OutcomeKind
    endpoints: frozenset[str] = frozenset()  # ids of devices that were theirs, where known


def evaluate_gold(gold: Sequence[GoldPair]) -> Evaluation:
    """Measure what stands now. A pair that we say nothing of counts as pending."""
    ours = {
        (row.learner_id, row.session_id): row
        for row in Outcome.objects.filter(
            is_current=True, session__in={pair.session_id for pair in gold}
        )
    }
    judged = []
    for pair in gold:
        row = ours.get((pair.learner_id, pair.session_id))
        said = OutcomeKind(row.outcome) if row else OutcomeKind.PENDING
        judged.append(Judged(pair.outcome, said, effective=bool(row and row.effective)))
    right, links, wanted = _links([pair for pair in gold if pair.endpoints])
    return evaluate(judged, right_links=right, links=links, wanted_links=wanted)


def _links(gold: Sequence[GoldPair]) -> tuple[int, int, int]:
    """Right automatic links, all of them, and those that should be, in the classes labelled."""
    found: dict[tuple[int, int], set[str]] = {}
    rows = Endpoint.objects.filter(
        conference__matches__session__in={pair.session_id for pair in gold},
        learner__in={pair.learner_id for pair in gold},
        identity_level__gte=AUTOMATIC,
    ).values_list("learner_id", "conference__matches__session", "endpoint_id")
    for learner, session, endpoint in rows:
        found.setdefault((learner, session), set()).add(endpoint)
    right = links = wanted = 0
    for pair in gold:
        ours = found.get((pair.learner_id, pair.session_id), set())
        right += len(ours & pair.endpoints)
        links += len(ours)
        wanted += len(pair.endpoints)
    return right, links, wanted


def audit_figures(*, weeks: int, now: datetime) -> Evaluation:
    """The same figures from the judged pairs of the last `weeks` weeks of the random audit."""
    since = monday(now) - timedelta(weeks=weeks)
    rows = AuditPair.objects.filter(
        week__gte=since, verdict__in=[AuditVerdict.RIGHT, AuditVerdict.WRONG]
    ).values_list("outcome__outcome", "truth")
    return evaluate(Judged(OutcomeKind(truth or ours), OutcomeKind(ours)) for ours, truth in rows)


@dataclass(frozen=True)
class Sample:
    """How far the newest weekly sample is judged."""

    week: date
    judged: int
    of: int


def newest_sample() -> Sample | None:
    """The sample that is being judged; None where none was ever drawn."""
    rows = AuditPair.objects.values("week").annotate(
        of=Count("pk"), judged=Count("pk", filter=~Q(verdict=""))
    )
    row = rows.order_by("-week").first()
    return Sample(row["week"], row["judged"], row["of"]) if row else None


def monday(now: datetime) -> date:
    """The Monday of a moment's week, UTC."""
    day = now.date()
    return day - timedelta(days=day.weekday())
