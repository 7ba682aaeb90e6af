"""What an action would do to the messages that are owed: exactly, and before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from delivery.domain.states import UNSENT
from nurture.domain.reasons import Reason
from nurture.models import Decision, Scenario
from nurture.services.simulation.forecasting import copy_present
from nurture.services.simulation.shadow import set_clock, shadowed

#: A message: whose, of which sequence and step, when.
Owed = dict[tuple[str, str, str], str]


@dataclass(frozen=True, kw_only=True)
class BlastRadius:
    """Planned messages that an action makes, takes away or moves: (e-mail, sequence, step)."""

    appear: list[tuple[str, str, str]]
    vanish: list[tuple[str, str, str]]
    move: list[tuple[str, str, str]]

    @property
    def size(self) -> int:
        """How many messages are touched."""
        return len(self.appear) + len(self.vanish) + len(self.move)


def blast_radius(
    action: Callable[[], Any], *, now: datetime, learner_ids: Iterable[int] | None = None
) -> BlastRadius:
    """Do `action` on copies of what stands now, and compare what is owed; writes nothing.

    `action` is the very service call that would be done, at `now`. `learner_ids`: whom it can
    concern, where that is known; None = everybody.
    """
    with shadowed(Scenario) as shadow:
        copy_present(shadow, learner_ids=learner_ids)
        set_clock(now)
        before = owed()
        action()
        after = owed()
    return difference(before, after)


def owed() -> Owed:
    """The planned messages that are not on the wire, each with its moment and text."""
    rows = Decision.objects.filter(
        code=Reason.STEP_PLANNED, delivery__status__in=UNSENT
    ).values_list(
        "learner__email", "sequence__slug", "step_key", "delivery__run_at", "delivery__text"
    )
    found: Owed = {}
    for email, slug, step, at, text in rows.order_by("delivery_id"):
        key = (email, slug, step)
        found[key] = found.get(key, "") + f"{at.isoformat()} {text}\n"
    return found


def difference(before: Owed, after: Owed) -> BlastRadius:
    """What is in one and not in the other, or there at another time or with another text."""
    return BlastRadius(
        appear=sorted(set(after) - set(before)),
        vanish=sorted(set(before) - set(after)),
        move=sorted(key for key in set(before) & set(after) if before[key] != after[key]),
    )
