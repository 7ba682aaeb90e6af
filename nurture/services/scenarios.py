"""The scenarios of a sequence, played against a version of it (N10)."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from nurture.domain import scenario as values
from nurture.domain.scenario import Check, Heard, clock, judge, problems, strangers
from nurture.models import Scenario, Sequence, SequenceVersion
from nurture.services.simulation.story import tell

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@dataclass(frozen=True, kw_only=True)
class Played:
    """How one scenario came out."""

    scenario: Scenario
    checks: Rows[Check]
    heard: Rows[Heard] = ()

    @property
    def passed(self) -> bool:
        """Whether everything came as expected."""
        return all(check.passed for check in self.checks)

    @property
    def said(self) -> list[tuple[str, str]]:
        """What the learner heard: when on their clock, and the text."""
        value = self.scenario.value
        return [(f"{clock(one.at, value)}: {one.step}", one.text) for one in self.heard]


def keep_scenarios(
    *, sequence: Sequence, scenarios: Rows[values.Scenario], now: datetime, by: User | None
) -> int:
    """Write those that are new or say something else than the one of their name; how many.

    Other scenarios of the sequence stay. Belongs into the transaction of the import. Safe to run
    twice.
    """
    there = {row.name: row for row in Scenario.objects.filter(sequence=sequence)}
    known = {name: row.value for name, row in there.items()}
    changed = [one for one in scenarios if known.get(one.name) != one]
    for one in changed:
        row = there.get(one.name) or Scenario(sequence=sequence)
        row.value, row.changed_at, row.changed_by = one, now, by
        row.save()
    return len(changed)


def play_scenarios(*, version: SequenceVersion) -> list[Played]:
    """Every scenario of the version's sequence, in order of its name; nothing is written."""
    rows = Scenario.objects.filter(sequence=version.sequence_id).order_by("name")
    return [play_scenario(scenario=row, version=version) for row in rows]


def play_scenario(*, scenario: Scenario, version: SequenceVersion) -> Played:
    """One scenario; one that makes no sense, or names a step that is gone, fails and says so."""
    value = scenario.value
    wrong = [Check(passed=False, said=said) for said in problems(value)]
    if not wrong:
        keys = version.steps.values_list("key", flat=True)
        gone = strangers(value, keys)
        wrong = [Check(passed=False, said=f"There is no step {key!r} any more.") for key in gone]
    if wrong:
        return Played(scenario=scenario, checks=wrong)
    told = tell(version=version, scenario=value)
    return Played(scenario=scenario, checks=judge(value, told), heard=told.heard)
