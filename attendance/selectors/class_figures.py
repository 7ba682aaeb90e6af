"""What the list of classes shows of each: outcomes, match quality, what was said and kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Exists, OuterRef, Q

from attendance.domain.kinds import PRESENT_KINDS, EndpointKind, OutcomeKind, ReviewState
from attendance.models import ConferenceMatch, Outcome, Pledge, ReviewItem


@dataclass
class Figures:
    """Counts of one class."""

    outcomes: dict[str, int] = field(default_factory=dict)
    devices: int = 0  # of people who may be learners
    sure: int = 0  # of these, given to a learner
    open_questions: int = 0
    pledged: int = 0  # said yes
    came: int = 0  # of these

    @property
    def unmatched(self) -> int:
        """Devices of people of whom nobody knows who they are."""
        return self.devices - self.sure

    @property
    def share(self) -> float | None:
        """The share of devices with a sure identity; None where there were none."""
        return self.sure / self.devices if self.devices else None


def class_figures(*, session_ids: Sequence[int]) -> dict[int, Figures]:
    """Count for these classes, in four statements however many they are."""
    found: dict[int, Figures] = defaultdict(Figures)
    current = Outcome.objects.filter(session__in=session_ids, is_current=True)
    for pk, kind, count in current.values_list("session", "outcome").annotate(n=Count("pk")):
        found[pk].outcomes[kind] = count
    for pk, devices, sure in _devices(session_ids):
        found[pk].devices, found[pk].sure = devices, sure
    items = ReviewItem.objects.filter(session__in=session_ids, state=ReviewState.OPEN)
    for pk, count in items.values_list("session").annotate(n=Count("pk")):
        found[pk].open_questions = count
    for pk, pledged, came in _pledges(session_ids):
        found[pk].pledged, found[pk].came = pledged, came
    for figures in found.values():
        figures.outcomes = {
            kind.value: figures.outcomes[kind] for kind in OutcomeKind if kind in figures.outcomes
        }
    return found


def _devices(session_ids: Sequence[int]) -> list[tuple[int, int, int]]:
    people = Q(conference__endpoints__kind__in=[EndpointKind.HUMAN, EndpointKind.PHONE])
    sure = people & Q(conference__endpoints__learner__isnull=False)
    matches = ConferenceMatch.objects.filter(session__in=session_ids)
    return list(
        matches.values_list("session").annotate(
            devices=Count("conference__endpoints", filter=people),
            sure=Count("conference__endpoints", filter=sure),
        )
    )


def _pledges(session_ids: Sequence[int]) -> list[tuple[int, int, int]]:
    here = Outcome.objects.filter(
        session=OuterRef("session"), learner=OuterRef("learner"), is_current=True,
        outcome__in=PRESENT_KINDS,
    )  # fmt: skip
    said = Pledge.objects.filter(session__in=session_ids, state__in=["yes", "kept", "broken"])
    counted = said.alias(came=Exists(here)).values_list("session")
    return list(counted.annotate(n=Count("pk"), kept=Count("pk", filter=Q(came=True))))
